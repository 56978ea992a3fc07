"""The verification check: do independent verifiers agree with what the callee answered?

Only answers are judged: the one response of a unary method, and of a stream all that it has told by its last message.
Where everything that has a say enforces, the answer waits for its panel; everywhere else it moves on, and the panel is
asked beside the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from sidecar.checks.assembly import Assembly, AssemblyLimits
from sidecar.checks.case import Case, case_of
from sidecar.checks.engines import compared
from sidecar.checks.panel_findings import CHECK, below, disagreed, failed, findings_of, observed
from sidecar.engine import policy
from sidecar.engine.exchange import Exchange, Mode, Status, weakest
from sidecar.engine.finding import Finding
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import names_of
from sidecar.engine.ports import NoWitness, Witness
from sidecar.engine.redaction import Redactor
from sidecar.engine.verdict import PanelVerdict, Value

if TYPE_CHECKING:
    from sidecar.engine.ports import Panel, Quarantine
    from sidecar.engine.specs import PanelTerms, Spec

LAST_STATES = frozenset({"completed", "failed", "canceled", "rejected", "input_required", "auth_required"})
"""Task states after which an A2A stream ends (A2A v1, TaskState: the terminal and the interrupted ones)."""

SAMPLE_BITS = 56
"""Of a trace id these are random (W3C Trace Context level 2)."""


@dataclass(slots=True)
class Stream:
    """A stream that is open: its newest message, and what was told before that."""

    told: Assembly = field(default_factory=Assembly)
    last: Message | None = None
    is_judged: bool = False
    """Whether the newest message said that it ends the answer."""


class VerificationCheck:
    """Asks the panel that the spec requires, and says what it made of the answer."""

    name = CHECK
    fail: Literal["open", "closed"] = "open"
    """Of a crash of this check. What an inconclusive verdict means is declared verifier by verifier."""

    def __init__(
        self,
        panel: Panel,
        *,
        answers_once: Callable[[Exchange], bool],
        tell: Callable[[Exchange, Finding], None],
        fail_open: Callable[[str, str], None],
        engines_compared: Callable[[str, bool], None] = lambda *_: None,
        quarantine: Quarantine | None = None,
        limits: AssemblyLimits = AssemblyLimits(),  # noqa: B008 - frozen
        witness: Witness | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        """`answers_once`: whether a method is known to send one response.

        `tell` hears of findings that come after their message has moved on; `fail_open` counts (check, reason),
        `engines_compared` (spec, whether the two schema engines disagree). `quarantine` hears of late fails, where the
        spec asks for that; `limits` bound what is kept of open streams. `witness` hears of every verdict; `redactor`
        masks what verifiers are shown where the spec asks for that.
        """
        self._witness = witness or NoWitness()
        self._redactor = redactor or Redactor()
        self._panel = panel
        self._answers_once = answers_once
        self._tell = tell
        self._fail_open = fail_open
        self._engines_compared = engines_compared
        self._quarantine = quarantine
        self._limits = limits
        self._streams: dict[Exchange, Stream] = {}
        """Streams that are open and will be judged."""
        self._held_bytes = 0

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        spec = exchange.spec
        if spec is None or spec.panel is None or message.direction is Direction.REQUEST:
            return None
        if not is_sampled(exchange.lineage.trace_id, spec.panel.sample):
            return None
        if self._answers_once(exchange):
            return await self._judge(self._case(exchange, spec, spec.panel, message, None))
        stream = self._streams.setdefault(exchange, Stream())
        self._keep(stream)
        stream.last, stream.is_judged = message, ends_stream(message)
        if not stream.is_judged:
            return None
        return await self._judge(self._case(exchange, spec, spec.panel, message, stream.told))

    def on_end(self, exchange: Exchange, status: Status) -> None:
        """The last message of a stream that did not say that it was the last: judged now, and too late to refuse."""
        stream = self._streams.pop(exchange, None)
        if stream is None:
            return
        self._held_bytes -= stream.told.size_bytes
        spec = exchange.spec
        if stream.is_judged or stream.last is None or spec is None or spec.panel is None or status.code != "OK":
            return
        case = self._case(exchange, spec, spec.panel, stream.last, stream.told)
        if self._holds(case):
            self._fail_open(self.name, "not_held")
        self._ask_later(case)

    def _case(
        self, exchange: Exchange, spec: Spec, terms: PanelTerms, message: Message, stream: Assembly | None
    ) -> Case:
        is_masked = spec.content is not None and spec.content.verifiers == "redacted"
        return case_of(exchange, spec, terms, message, stream, self._redactor if is_masked else None)

    def _keep(self, stream: Stream) -> None:
        """What was the last message so far was told before the next one, so it is a part of the answer."""
        if stream.last is not None:
            room_bytes = self._limits.stream_bytes - stream.told.size_bytes
            room_bytes = min(room_bytes, self._limits.total_bytes - self._held_bytes)
            self._held_bytes += stream.told.add(stream.last, room_bytes)

    async def _judge(self, case: Case) -> Sequence[Finding] | None:
        if not self._holds(case):
            self._ask_later(case)
            return None
        verdict = await self._panel.ask(case.evidence, case.terms, partial(self._heard_observers, case))
        slowest_s = max((opinion.duration_s for opinion in verdict.opinions), default=0.0)
        case.exchange.waited_ns += int(slowest_s * 1e9)
        self._witness.judged(case.exchange, verdict, is_late=False)
        return self._findings(case, verdict, is_held=True)

    def _holds(self, case: Case) -> bool:
        """Whether the message waits. Nothing waits for a verdict that could not refuse it anyway."""
        mode = weakest(case.exchange.mode_for(self.name), below(case.spec.mode, case.terms.mode))
        return case.terms.when == "inline" and mode is Mode.ENFORCE and self._panel.may_refuse(case.terms)

    def _ask_later(self, case: Case) -> None:
        self._panel.ask_later(case.evidence, case.terms, partial(self._told, case))

    def _told(self, case: Case, verdict: PanelVerdict | None) -> None:
        if verdict is None:
            self._fail_open(self.name, "dropped")
            return
        self._witness.judged(case.exchange, verdict, is_late=True)
        for finding in self._findings(case, verdict, is_held=False):
            self._tell(case.exchange, finding)
        if case.terms.on_fail == "quarantine":
            self._hold_back(case, verdict)

    def _hold_back(self, case: Case, verdict: PanelVerdict) -> None:
        exchange, because = case.exchange, reason_to_hold_back(case, verdict)
        if self.name in exchange.observed_checks:
            return
        if because and self._quarantine is not None:
            self._quarantine.quarantine(exchange.caller, exchange.callee, exchange.method, because)

    def _heard_observers(self, case: Case, heard: PanelVerdict | None) -> None:
        """Verifiers in observe, asked after the panel has spoken: they make findings and nothing else."""
        if heard is None:
            self._fail_open(self.name, "observer_dropped")
            return
        self._witness.judged(case.exchange, heard, is_late=True)
        findings = filter(None, (observed(case.spec, case.terms, opinion) for opinion in heard.opinions))
        for finding in (*findings, *self._alarms(case, heard)):
            self._tell(case.exchange, finding)

    def _findings(self, case: Case, verdict: PanelVerdict, *, is_held: bool) -> list[Finding]:
        """What the panel said, gravest first. An inconclusive one that stops nothing is counted as fail-open."""
        findings = list(findings_of(case.spec, case.terms, verdict))
        is_refused = is_held and any(map(partial(refuses, case.exchange), findings))
        if verdict.value is Value.INCONCLUSIVE and not is_refused:
            self._fail_open(self.name, verdict.doubt)
        return [*findings, *self._alarms(case, verdict)]

    def _alarms(self, case: Case, verdict: PanelVerdict) -> Iterator[Finding]:
        """A finding for each schema verifier whose engine and ours do not agree on these documents."""
        for opinion in verdict.opinions:
            comparison = compared(case.spec, case.evidence, opinion)
            if comparison is not None:
                self._engines_compared(case.spec.name, comparison.is_disagreement)
                if comparison.is_disagreement:
                    yield disagreed(case.spec, case.terms, comparison, opinion)


def ends_stream(message: Message) -> bool:
    state = names_of(message).task_state
    return bool(state) and state.lower().removeprefix("task_state_").replace("-", "_") in LAST_STATES


def is_sampled(trace_id: str, share: float) -> bool:
    """The same answer for every exchange of a trace, in every sidecar. It saves cost; it is no secret."""
    return share >= 1.0 or int(trace_id[-SAMPLE_BITS // 4 :], 16) < share * (1 << SAMPLE_BITS)


def refuses(exchange: Exchange, finding: Finding) -> bool:
    return finding.reason is not None and policy.is_enforced(exchange, finding)


def reason_to_hold_back(case: Case, verdict: PanelVerdict) -> str:
    """A fail that could have refused the answer, in words; empty where a level below the route only observes."""
    for opinion in verdict.opinions:
        mode = below(case.spec.mode, case.terms.mode, opinion.mode)
        if opinion.value is Value.FAIL and mode is not Mode.OBSERVE:
            return failed(case.spec, mode, opinion).message
    return ""
