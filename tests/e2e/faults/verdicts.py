"""Faults of those who judge, and of what they judge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.demo.panel_scenes import WRONG_TOTAL
from sidecar.demo.scenes import facts
from sidecar.demo.user import ask
from tests.e2e.faults.fault import Fault, shown
from tests.e2e.traffic import again_and_again, written_up
from tests.e2e.world import World


@asynccontextmanager
async def invented_figures(world: World) -> AsyncIterator[None]:
    """The writer adds a figure of its own to what it was given, and `grounding` cannot find where it comes from."""
    async with again_and_again(lambda _: written_up(world, "writer", "tunnels"), 0.3):
        yield


@asynccontextmanager
async def split_panel(world: World) -> AsyncIterator[None]:
    """A fact that does not add up is repeated faithfully by the essayist: `arithmetic` alone is not content."""
    async with again_and_again(lambda _: ask(world.stage.sidecar("essayist"), {"data": facts(WRONG_TOTAL)}), 0.3):
        yield


@asynccontextmanager
async def dead_verifier(world: World) -> AsyncIterator[None]:
    """The editor's `rules`, which fails open, is killed. The editor goes on."""
    await world.workers["editor_rules"].process.kill()
    async with again_and_again(lambda _: written_up(world, "editor", "bridges"), 0.1, callers=3):
        yield
    await world.restart("editor_rules")


@asynccontextmanager
async def hung_verifier(world: World) -> AsyncIterator[None]:
    """The proof-reader's `rules` stops in the middle of its work. Its breaker is set to a patience that never ends."""
    async with (
        world.frozen("reader_rules"),
        again_and_again(lambda _: written_up(world, "reader", "bridges"), 0.1, callers=3),
    ):
        yield


FAULTS = (
    Fault(
        "a writer that adds figures of its own",
        invented_figures,
        (shown("SidecarVerdictFailures", verifier="grounding"),),
        brings=(
            shown("SidecarVerifierDissent", verifier="rules"),
            shown("SidecarVerifierDissent", verifier="arithmetic"),
        ),
    ),
    Fault(
        "answers on which one verifier stands alone",
        split_panel,
        (shown("SidecarVerifierDissent", verifier="essayist_arithmetic"),),
        brings=(shown("SidecarVerdictFailures", verifier="essayist_arithmetic"),),
    ),
    Fault(
        "a verifier killed",
        dead_verifier,
        (shown("SidecarVerifierDown", {"seen_as": "breaker"}, verifier="editor_rules"),),
        brings=(
            shown("SidecarVerifierDown", verifier="editor_rules"),
            shown("SidecarFailOpen", check="verification", reason="unreachable"),
            shown("SidecarFailOpen", check="verification", reason="breaker_open"),
            shown("SidecarVerifierDissent", verifier="editor_grounding"),
        ),
    ),
    Fault(
        "a verifier that hangs",
        hung_verifier,
        (
            shown("SidecarVerifierDown", {"seen_as": "failures"}, verifier="reader_rules"),
            shown("SidecarFailOpen", check="verification", reason="timed_out"),
        ),
    ),
)
