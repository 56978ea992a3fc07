"""The journal of a process: a reporter that watches the engine, and its sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sidecar.engine.finding import Action
from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.message import JSON
from sidecar.engine.ports import Clock, Reporter
from sidecar.engine.redaction import Redactor
from sidecar.telemetry.journal.reading import Reader
from sidecar.telemetry.journal.record import NO_EXCHANGE, About, Kind
from sidecar.telemetry.journal.scribe import Scribe
from sidecar.telemetry.journal.sink import CountRecords, Sink, SinkSettings, SinkWorker
from sidecar.telemetry.journal.translation import (
    IDS_CHARS,
    Content,
    Draft,
    about,
    charge_facts,
    content_of,
    decision_facts,
    end_facts,
    finding_facts,
    message_facts,
    start_facts,
    verdict_facts,
)

if TYPE_CHECKING:
    from sidecar.engine.costs import Cost
    from sidecar.engine.exchange import Exchange, Outcome
    from sidecar.engine.finding import Finding
    from sidecar.engine.message import Message
    from sidecar.engine.verdict import PanelVerdict

CONTENT_BYTES: Final = 64 << 10
"""Largest document that is kept, where a spec allows any."""


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """What an operator decides about the journal."""

    sink: SinkSettings = field(default_factory=SinkSettings)
    content_bytes: int = CONTENT_BYTES


class Journal(Reporter):
    """Told everything on the event loop; does next to nothing there. Without sinks it does nothing."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        clock: Clock,
        hybrid: HybridClock,
        redactor: Redactor,
        count: CountRecords = lambda *_: None,
        settings: JournalSettings | None = None,
        open_reader: Callable[[], Reader] | None = None,
    ) -> None:
        """`open_reader` opens what can be read back; None where no sink can."""
        self._settings = settings or JournalSettings()
        self._clock = clock
        self._hybrid = hybrid
        self._redactor = redactor
        self.open_reader = open_reader
        self._is_kept = bool(sinks)
        sink_settings = self._settings.sink
        workers = [SinkWorker(sink, sink_settings, count) for sink in sinks]
        self._scribe = Scribe(workers, redactor, count=count, room=sink_settings.queue, period_s=sink_settings.flush_s)
        self._abouts: dict[Exchange, About] = {}
        """Of open exchanges that were recorded."""

    def start(self) -> None:
        self._scribe.start()

    def stop(self, limit_s: float) -> bool:
        """Write what waits. Blocks: not for the loop. True where nothing was left."""
        return self._scribe.stop(limit_s)

    # --- hooks of the engine -------------------------------------------------------------------------------------

    def exchange_started(self, exchange: Exchange) -> None:
        if self._is_kept:
            self._tell(Kind.STARTED, exchange, start_facts(exchange))

    def message_seen(self, exchange: Exchange, message: Message) -> None:
        if not self._is_kept:
            return
        facts = message_facts(exchange, message)
        payload: bytes | None = message.payload
        content, omitted = content_of(exchange, message, self._settings.content_bytes)
        if not self._scribe.has_room_for_payload:
            # Too much waits for the thread: nothing more is held, and it is digested at the cost of this call's time.
            payload, facts["sha256"] = None, sha256(message.payload).hexdigest()
            content, omitted = None, omitted or ("busy" if content is not None else "")
        if omitted:
            facts["omitted"] = omitted
        self._tell(Kind.MESSAGE, exchange, facts, payload, content)

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        if not self._is_kept:
            return
        self._tell(Kind.FINDING, exchange, finding_facts(finding, action, is_late=False))
        if action is not Action.OBSERVED:
            self._tell(Kind.DECISION, exchange, decision_facts(exchange, finding))

    def exchange_ended(self, outcome: Outcome) -> None:
        if self._is_kept:
            self._tell(Kind.ENDED, outcome.exchange, end_facts(outcome))
        self._abouts.pop(outcome.exchange, None)

    # --- what no hook tells --------------------------------------------------------------------------------------

    def found_late(self, exchange: Exchange, finding: Finding) -> None:
        """A finding that came when its message had moved on."""
        if self._is_kept:
            self._tell(Kind.FINDING, exchange, finding_facts(finding, Action.OBSERVED, is_late=True))

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None:
        """Verifiers have said what they think of an answer."""
        if self._is_kept:
            for opinion in verdict.opinions:
                self._tell(Kind.VERDICT, exchange, verdict_facts(opinion, verdict, is_late=is_late))

    def charged(self, exchange: Exchange, cost: Cost) -> None:
        """It is known what an exchange cost."""
        if self._is_kept:
            self._tell(Kind.CHARGE, exchange, charge_facts(exchange.callee, cost))

    def record_admin(self, action: str, by: str, details: Mapping[str, JSON]) -> None:
        """An operator did something, or was refused. `by` says who; `details` what, on what, and what came of it."""
        if self._is_kept:
            facts = {**details, "action": action, "by": by}
            self._scribe.take(Draft(Kind.ADMIN, self._hybrid.now(), self._clock.unix_ns(), NO_EXCHANGE, "", facts))

    # --- inside --------------------------------------------------------------------------------------------------

    def _tell(
        self,
        kind: Kind,
        exchange: Exchange,
        facts: dict[str, JSON],
        payload: bytes | None = None,
        content: Content | None = None,
    ) -> None:
        whose = self._abouts.get(exchange) or self._about(exchange, kind)
        draft = Draft(
            kind,
            self._hybrid.now(),
            self._clock.unix_ns(),
            whose,
            exchange.names.task_id[:IDS_CHARS],
            facts,
            payload,
            content,
        )
        self._scribe.take(draft)

    def _about(self, exchange: Exchange, kind: Kind) -> About:
        """Kept only of an exchange that is beginning: of another, nobody would say when to forget it."""
        made = about(exchange, self._redactor)
        if kind is Kind.STARTED:
            self._abouts[exchange] = made
        return made
