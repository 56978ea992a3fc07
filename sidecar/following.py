"""Following: what operators changed, put in force in the parts that it is about.

Quarantines are read off the board by their check. Modes go to the engine and the panel at once; modes of specs and
specs that were put go to the source of specs, which compiles them beside the calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sidecar.engine.exchange import Mode
from sidecar.engine.modes import Modes
from sidecar.engine.specs import Spec
from sidecar.engine.state import Board
from sidecar.engine.state.controls import Kind, names_in
from sidecar.errors import ConfigError, Mistake
from sidecar.panel import VerifierPanel
from sidecar.spec_files import SpecSource
from sidecar.spec_files.describing import kept
from sidecar.spec_files.reading import read_text_of

log = logging.getLogger(__name__)

SETTLED_S = 5.0
"""How long a change waits for its specs to be compiled before it says what is in force."""


class Following:
    """Keeps the parts of one process at what the board says. Serves the admin service as its desk of specs."""

    def __init__(self, agent: str, board: Board, modes: Modes, panel: VerifierPanel, source: SpecSource) -> None:
        self._agent = agent
        self._board = board
        self._modes = modes
        self._panel = panel
        self._source = source
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._asked: tuple[dict[str, str], dict[str, Mode]] = ({}, {})
        self._settled.set()
        board.on_change(self._follow)

    async def start(self) -> None:
        """Put in force what holds already, before the first call."""
        self._follow()
        await self._catch_up()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            await self._catch_up()

    async def settled(self) -> bool:
        """Wait until the specs are what the board says, or cannot be; False where that takes too long to wait for."""
        try:
            await asyncio.wait_for(self._settled.wait(), SETTLED_S)
        except TimeoutError:
            log.warning("specs that were put take longer than %g s to compile", SETTLED_S)
        return self._settled.is_set()

    # The desk of specs.

    @property
    def specs(self) -> Sequence[Spec]:
        return self._source.table.specs

    @property
    def from_files(self) -> Sequence[Spec]:
        return self._source.from_files

    @property
    def problems(self) -> Sequence[Mistake]:
        return self._source.problems

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        return self._source.match(caller, callee, method)

    def promises(self, spec: Spec) -> Sequence[str]:
        return [f"{name}: {words}" for name, words in kept(spec) if words]

    def text(self, spec: Spec) -> str:
        return self._source.text_of(spec)

    def name_in(self, text: str) -> str:
        try:
            said = read_text_of(text, "put").data
        except ConfigError:
            return ""
        name = said.get("spec") if isinstance(said, dict) else None
        return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 256 else ""

    async def mistakes_in(self, name: str, text: str) -> Sequence[Mistake]:
        return await self._source.mistakes_in(name, text)

    # Inside.

    def _follow(self) -> None:
        of_this_agent = {kind: self._named(kind) for kind in (Kind.ROUTE_MODE, Kind.CHECK_MODE, Kind.VERIFIER_MODE)}
        root = next((each for key, each in self._values(Kind.ROOT_MODE).items() if key == self._agent), "")
        checks = of_this_agent[Kind.CHECK_MODE]
        self._modes.change(
            Mode(root) if root else None,
            of_this_agent[Kind.ROUTE_MODE],
            [check for check, mode in checks.items() if mode is Mode.OBSERVE],
        )
        self._panel.change_modes(of_this_agent[Kind.VERIFIER_MODE])
        spec_modes = {key: Mode(value) for key, value in self._values(Kind.SPEC_MODE).items()}
        asked = (self._values(Kind.SPEC), spec_modes)
        if asked != self._asked:
            self._asked = asked
            self._settled.clear()
            self._news.set()

    async def _catch_up(self) -> None:
        self._news.clear()
        asked = self._asked
        await self._source.follow(*asked)
        if asked is self._asked:
            self._settled.set()

    def _values(self, kind: Kind) -> dict[str, str]:
        return {each.control.name.key: each.control.value for each in self._board.of(kind)}

    def _named(self, kind: Kind) -> dict[str, Mode]:
        """Of this agent's sidecars alone."""
        found = ((names_in(key), value) for key, value in self._values(kind).items())
        return {names[1]: Mode(value) for names, value in found if names[0] == self._agent}
