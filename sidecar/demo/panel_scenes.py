"""The scenes about verifiers: every schema holds, and somebody still has to judge what the writer answers.

Three verifiers hear each whole answer: `grounding` and `rules` have a say, `arithmetic` is on trial. The first fails
closed and the second fails open, so that both can be seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sidecar.demo.claims import Claim, Scene, Watch, at_most, claim
from sidecar.demo.scenes import FINDINGS, House, claims_on_refusal, ending, facts
from sidecar.demo.user import Answer, ask
from sidecar.telemetry import names

VERDICTS: Final = names.VERDICTS.name
DISSENT: Final = names.VERIFIER_DISSENT.name
FAIL_OPEN: Final = names.FAIL_OPEN.name

INVENTED: Final = "43 million"
"""What the writer says of tunnels although no fact that it was given does."""

WRONG_TOTAL: Final = "In 2019 the line carried 120 cars, 45 lorries and 15 buses, a total of 190 vehicles."
"""A source that adds up wrongly. Whoever asks only whether the source says so is content: it makes 180."""

DOUBT_LIMIT_S: Final = 3.0
"""A dead verifier is known at once; five seconds would be its time-out. The writer itself takes a third of a second."""

RETURN_LIMIT_S: Final = 10.0
"""From the restarted verifier's first open port to the first answer that it has judged."""

Tally = dict[str, tuple[int, int]]
"""How often each verifier passed an answer and how often it failed one."""


async def invented_figure(house: House) -> Scene:
    """The writer adds a figure of its own. It is well-formed text, and one verifier looks for where it comes from."""
    watch = await house.watch("writer")
    healthy = await written_up(house, "bridges")
    invented = await written_up(house, "tunnels")
    tally = {"grounding": (1, 1), "rules": (2, 0), "arithmetic": (2, 0)}
    heard = await heard_by(watch, tally)
    broken_specs = await watch.change(0, FINDINGS, check="spec")
    return Scene(
        title="invented figure",
        done="writer gets facts on bridges, then on tunnels, where it adds a figure that no fact has",
        caller_saw=f"{healthy.code}; then {invented.code} {invented.reply}",
        sidecar_saw=f"{broken_specs} broken schemas; {told(heard)}",
        claims=(
            claim("an honest answer passes the panel", "OK COMPLETED 5", ending(healthy)),
            *claims_on_verdict(invented, "grounding"),
            claim("the caller is told which figure", True, INVENTED in invented.message),
            claim(
                "the place that ErrorInfo names", "/task/artifacts/0/parts/4/text", invented.info.metadata["pointer"]
            ),
            claim("every schema held", 0, broken_specs),
            claim("what each verifier said, as (passed, failed)", tally, heard),
        ),
    )


async def written_up(house: House, topic: str) -> Answer:
    """The researcher's facts, handed to the writer as they came."""
    found = await ask(house.stage.sidecar("researcher"), {"data": {"query": topic}})
    return await ask(house.stage.sidecar("writer"), {"data": found.data})


async def heard_by(watch: Watch, expected: Tally) -> Tally:
    """What each verifier has said since; waits for what is expected."""
    return {
        name: (
            await watch.change(passed, VERDICTS, verifier=name, verdict="pass"),
            await watch.change(failed, VERDICTS, verifier=name, verdict="fail"),
        )
        for name, (passed, failed) in expected.items()
    }


def told(heard: Tally) -> str:
    return "; ".join(f"{name} passed {passed}, failed {failed}" for name, (passed, failed) in heard.items())


def claims_on_verdict(answer: Answer, verifier: str) -> tuple[Claim, ...]:
    return (
        *claims_on_refusal(answer, "FAILED_PRECONDITION", "VERDICT_FAILED", "writer/v1"),
        claim("the verifier that ErrorInfo names", verifier, answer.info.metadata["rule"]),
    )


async def split_panel(house: House) -> Scene:
    """Two verifiers are content and one is not: what the majority says holds, and who said otherwise is on record."""
    watch = await house.watch("writer")
    answer = await ask(house.stage.sidecar("writer"), {"data": facts(WRONG_TOTAL)})
    tally = {"grounding": (1, 0), "rules": (1, 0), "arithmetic": (0, 1)}
    heard = await heard_by(watch, tally)
    dissent = {"arithmetic": 1, "grounding": 0, "rules": 0}
    dissented = await dissent_of(watch, dissent)
    found = await watch.change(1, FINDINGS, check="verification", rule="arithmetic", action="observed")
    return Scene(
        title="split panel",
        done="writer gets a fact whose total does not add up, and repeats it faithfully",
        caller_saw=f"{answer.code}, task {answer.state}, {answer.sentences} sentences",
        sidecar_saw=f"{told(heard)}; dissent of {', '.join(name for name, count in dissented.items() if count)}",
        claims=(
            claim("the answer passes, two to one", "OK COMPLETED 3", ending(answer)),
            claim("what each verifier said, as (passed, failed)", tally, heard),
            claim("the one that is on trial is the one that dissents", dissent, dissented),
            claim("its complaint is a finding that refuses nothing", 1, found),
        ),
    )


async def dissent_of(watch: Watch, expected: Mapping[str, int]) -> dict[str, int]:
    return {name: await watch.change(count, DISSENT, verifier=name) for name, count in expected.items()}


async def dead_verifier(house: House) -> Scene:
    """Killed while the writer writes: one verifier fails open, the other closed, each as its configuration says."""
    watch = await house.watch("writer")
    unjudged = await answered_without(house, "rules")
    opened = await watch.change(1, FAIL_OPEN, check="verification", reason="unreachable")
    await house.fleet.restart_verifier("rules")
    refused = await answered_without(house, "grounding")
    found = await watch.change(1, FINDINGS, check="verification", rule="grounding", action="rejected")
    opened_in_all = await watch.change(1, FAIL_OPEN, check="verification")
    await house.fleet.restart_verifier("grounding")
    again, took_s = await until_judged(house)
    return Scene(
        title="dead verifier",
        done="rules is killed with SIGKILL while writer writes, then grounding; both are started again",
        caller_saw=f"{unjudged.code} without rules; {refused.code} {refused.reply} without grounding",
        sidecar_saw=f"{opened} let through and counted, {found} refused; judged again after {took_s * 1000:.0f} ms",
        claims=(
            claim("without the verifier that fails open the answer passes", "OK COMPLETED 5", ending(unjudged)),
            claim("and is counted as unjudged, with the reason", 1, opened),
            *claims_on_verdict(refused, "grounding"),
            at_most("nobody waits for a dead verifier", DOUBT_LIMIT_S, refused.elapsed_s),
            claim("the refusal is counted, and as no fail-open", (1, 1), (found, opened_in_all)),
            claim("the restarted verifier judges again", "OK COMPLETED", f"{again.code} {again.state}"),
            at_most("and soon", RETURN_LIMIT_S, took_s),
        ),
    )


async def answered_without(house: House, verifier: str) -> Answer:
    """Kills it while the writer, which pauses before each sentence, is at work on a good answer."""
    answer, _ = await asyncio.gather(written_up(house, "bridges"), house.fleet.kill_verifier(verifier))
    return answer


async def until_judged(house: House) -> tuple[Answer, float]:
    """Ask until an answer passes, which takes grounding's word: it fails closed."""
    began_s = time.monotonic()
    while True:
        answer = await written_up(house, "lighthouses")
        took_s = time.monotonic() - began_s
        if answer.code == "OK" or took_s > RETURN_LIMIT_S:
            return answer, took_s


SCENES: Final[tuple[Callable[[House], Awaitable[Scene]], ...]] = (invented_figure, split_panel, dead_verifier)
"""In the order of the play: the verifiers are alive until the last scene, and again after it."""
