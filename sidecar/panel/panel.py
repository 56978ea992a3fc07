"""The panel itself: all verifiers at once, one deadline, one verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sidecar.engine.exchange import Mode
from sidecar.engine.ports import Clock, Panel, PanelReporter, TellVerdict
from sidecar.engine.verdict import Evidence, Failure, Opinion, PanelVerdict, Value, combined
from sidecar.panel.backlog import Backlog, BacklogLimits, Job
from sidecar.panel.question import Question
from sidecar.panel.seat import Seat
from sidecar.panel.settings import VerifierSettings
from sidecar.tls import ClientTls

if TYPE_CHECKING:
    from sidecar.engine.specs.spec import PanelTerms


class VerifierPanel(Panel):
    """Every verifier of the configuration, of which each spec requires some."""

    def __init__(
        self,
        verifiers: Sequence[VerifierSettings],
        *,
        clock: Clock,
        reporter: PanelReporter,
        backlog: BacklogLimits = BacklogLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._seats = {settings.name: Seat(settings, clock, reporter) for settings in verifiers}
        self._reporter = reporter
        self._backlog = Backlog(backlog)

    def change_modes(self, modes: Mapping[str, Mode]) -> None:
        """What an operator put in the place of configured modes, by verifier: all of it."""
        for name, seat in self._seats.items():
            seat.change_mode(modes.get(name))

    def is_skipped(self, verifier: str) -> bool:
        """Whether it keeps failing, so that nobody asks it for a while."""
        return verifier in self._seats and self._seats[verifier].is_skipped

    def may_refuse(self, terms: PanelTerms) -> bool:
        """A verifier that nobody configured refuses nothing: it cannot even be asked."""
        return any(seat.settings.mode is not Mode.OBSERVE for seat in self._seats_of(terms.require))

    async def ask(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> PanelVerdict:
        observers = tuple(name for name in terms.require if self._is_observer(name))
        binding = tuple(name for name in terms.require if name not in observers) or terms.require
        verdict = await self._judge(binding, evidence, terms)
        if observers and binding != terms.require:
            self._later(partial(self._watch, observers, evidence, terms, verdict.value), evidence, tell)
        return verdict

    def ask_later(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> None:
        self._later(partial(self._judge, terms.require, evidence, terms), evidence, tell)

    def renew(self, verifier: str, tls: ClientTls) -> None:
        """Certificates that have changed, for the connection to one verifier."""
        self._seats[verifier].renew(tls)

    async def drain(self, limit_s: float) -> None:
        """Let what was asked beside the calls finish, then hang up. What does not finish is told to be dropped."""
        await self._backlog.drain(limit_s)
        await asyncio.gather(*(seat.close() for seat in self._seats.values()))

    def _later(self, work: Callable[[], Awaitable[PanelVerdict]], evidence: Evidence, tell: TellVerdict) -> None:
        self._backlog.offer(Job(work, tell, evidence.size_bytes))

    async def _judge(self, names: Sequence[str], evidence: Evidence, terms: PanelTerms) -> PanelVerdict:
        verdict = combined(await self._opinions(names, evidence, terms), terms.quorum)
        self._report(verdict)
        return verdict

    async def _watch(self, names: Sequence[str], evidence: Evidence, terms: PanelTerms, value: Value) -> PanelVerdict:
        """Observers, heard after the verdict: they are measured by it and change nothing."""
        verdict = PanelVerdict(value, await self._opinions(names, evidence, terms))
        self._report(verdict)
        return verdict

    async def _opinions(self, names: Sequence[str], evidence: Evidence, terms: PanelTerms) -> tuple[Opinion, ...]:
        if not evidence.is_readable:
            return tuple(self._abstained(name, Failure.UNREADABLE) for name in names)
        question = Question(evidence, terms)
        return tuple(await asyncio.gather(*(self._ask(name, question, terms.timeout_s) for name in names)))

    async def _ask(self, name: str, question: Question, limit_s: float | None) -> Opinion:
        seat = self._seats.get(name)
        return self._abstained(name, Failure.UNKNOWN) if seat is None else await seat.ask(question, limit_s)

    def _abstained(self, name: str, failure: Failure) -> Opinion:
        """No series is made for a name that only a spec knows."""
        seat = self._seats.get(name)
        return seat.abstain(failure) if seat else Opinion(name, Value.INCONCLUSIVE, failure=failure)

    def _report(self, verdict: PanelVerdict) -> None:
        for opinion in verdict.dissent:
            self._reporter.dissented(opinion)

    def _is_observer(self, name: str) -> bool:
        seat = self._seats.get(name)
        return seat is not None and seat.settings.mode is Mode.OBSERVE

    def _seats_of(self, names: Sequence[str]) -> list[Seat]:
        return [seat for name in names if (seat := self._seats.get(name)) is not None]
