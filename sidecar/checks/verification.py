"""The verification check: do independent verifiers agree with what the callee answered?

Only answers are judged: the one response of a unary method, and the last message of a stream. Where everything that has
a say enforces, the answer waits for its panel; everywhere else it moves on, and the panel is asked beside the call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sidecar.engine import policy
from sidecar.engine.exchange import Exchange, Mode, Status, weakest
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import names_of
from sidecar.engine.verdict import Evidence, Opinion, PanelVerdict, Value
from sidecar.errors import MalformedMessage, Mistake, Reason

if TYPE_CHECKING:
    from sidecar.engine.ports import Panel
    from sidecar.engine.specs import Spec
    from sidecar.engine.specs.spec import PanelTerms

LAST_STATES = frozenset({"completed", "failed", "canceled", "rejected", "input_required", "auth_required"})
"""Task states after which an A2A stream ends (A2A v1, TaskState: the terminal and the interrupted ones)."""

SAMPLE_BITS = 56
"""Of a trace id these are random (W3C Trace Context level 2)."""

SENTENCE_CHARS = 400


class VerificationCheck:
    """Asks the panel that the spec requires, and says what it made of the answer."""

    name = "verification"
    fail: Literal["open", "closed"] = "open"
    """Of a crash of this check. What an inconclusive verdict means is declared verifier by verifier."""

    def __init__(
        self,
        panel: Panel,
        *,
        answers_once: Callable[[Exchange], bool],
        tell: Callable[[Exchange, Finding], None],
        fail_open: Callable[[str, str], None],
    ) -> None:
        """`answers_once`: whether a method is known to send one response.

        `tell` hears of findings that come after their message has moved on; `fail_open` counts (check, reason).
        """
        self._panel = panel
        self._answers_once = answers_once
        self._tell = tell
        self._fail_open = fail_open
        self._unjudged: dict[Exchange, Message] = {}
        """The newest message of each open stream that has not ended yet."""

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        spec = exchange.spec
        if spec is None or spec.panel is None or message.direction is Direction.REQUEST:
            return None
        if not is_sampled(exchange.lineage.trace_id, spec.panel.sample):
            return None
        if not (self._answers_once(exchange) or ends_stream(message)):
            self._unjudged[exchange] = message
            return None
        self._unjudged.pop(exchange, None)
        return await self._judge(exchange, spec, spec.panel, message)

    def on_end(self, exchange: Exchange, status: Status) -> None:
        """The last message of a stream that did not say that it was the last: judged now, and too late to refuse."""
        message = self._unjudged.pop(exchange, None)
        spec = exchange.spec
        if message is None or spec is None or spec.panel is None or status.code != "OK":
            return
        if self._holds(exchange, spec, spec.panel):
            self._fail_open(self.name, "not_held")
        self._ask_later(exchange, spec, spec.panel, message)

    async def _judge(
        self, exchange: Exchange, spec: Spec, terms: PanelTerms, message: Message
    ) -> Sequence[Finding] | None:
        if not self._holds(exchange, spec, terms):
            self._ask_later(exchange, spec, terms, message)
            return None
        heard = partial(self._heard_observers, exchange, spec, terms)
        verdict = await self._panel.ask(evidence_of(exchange, spec, message), terms, heard)
        return self._findings(exchange, spec, terms, verdict, is_held=True)

    def _holds(self, exchange: Exchange, spec: Spec, terms: PanelTerms) -> bool:
        """Whether the message waits. Nothing waits for a verdict that could not refuse it anyway."""
        if terms.when != "inline" or weakest(exchange.route.mode, below(spec.mode, terms.mode)) is Mode.OBSERVE:
            return False
        return self._panel.may_refuse(terms)

    def _ask_later(self, exchange: Exchange, spec: Spec, terms: PanelTerms, message: Message) -> None:
        told = partial(self._told, exchange, spec, terms)
        self._panel.ask_later(evidence_of(exchange, spec, message), terms, told)

    def _told(self, exchange: Exchange, spec: Spec, terms: PanelTerms, verdict: PanelVerdict | None) -> None:
        if verdict is None:
            self._fail_open(self.name, "dropped")
            return
        for finding in self._findings(exchange, spec, terms, verdict, is_held=False):
            self._tell(exchange, finding)

    def _heard_observers(self, exchange: Exchange, spec: Spec, terms: PanelTerms, heard: PanelVerdict | None) -> None:
        """Verifiers in observe, asked after the panel has spoken: they make findings and nothing else."""
        if heard is None:
            self._fail_open(self.name, "observer_dropped")
            return
        for finding in filter(None, (observed(spec, terms, opinion) for opinion in heard.opinions)):
            self._tell(exchange, finding)

    def _findings(
        self, exchange: Exchange, spec: Spec, terms: PanelTerms, verdict: PanelVerdict, *, is_held: bool
    ) -> list[Finding]:
        """What the panel said, gravest first. An inconclusive one that stops nothing is counted as fail-open."""
        findings = list(findings_of(spec, terms, verdict))
        if verdict.value is Value.INCONCLUSIVE and not (is_held and any(map(partial(refuses, exchange), findings))):
            self._fail_open(self.name, verdict.doubt)
        return findings


def findings_of(spec: Spec, terms: PanelTerms, verdict: PanelVerdict) -> Iterator[Finding]:
    for opinion in sorted(verdict.opinions, key=lambda each: each.value, reverse=True):
        mode = below(spec.mode, terms.mode, opinion.mode)
        if opinion.value is Value.FAIL:
            yield failed(spec, mode, opinion)
        elif opinion.value is Value.INCONCLUSIVE:
            yield (doubted if opinion in verdict.doubtful else unsure)(spec, mode, opinion)
    if verdict.lacks_families:
        yield too_few(spec, below(spec.mode, terms.mode), verdict)


def observed(spec: Spec, terms: PanelTerms, opinion: Opinion) -> Finding | None:
    mode = below(spec.mode, terms.mode, opinion.mode)
    if opinion.value is Value.FAIL:
        return failed(spec, mode, opinion)
    return unsure(spec, mode, opinion) if opinion.value is Value.INCONCLUSIVE else None


def failed(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    first = opinion.findings[0] if opinion.findings else None
    sentence = first.message if first and first.message else "the answer does not hold, and it does not say why"
    evidence = {
        "verdict": opinion.value.label,
        "version": opinion.version,
        "score": f"{opinion.score:.3f}",
        "findings": str(len(opinion.findings)),
        "rule": first.rule if first else "",
    }
    pointer = first.pointer if first and not first.in_request else ""
    return made(spec, mode, opinion.verifier, Severity.ERROR, sentence, Reason.VERDICT_FAILED, pointer, evidence)


def unsure(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    """The panel came to its verdict without this one, so it is only worth knowing."""
    return made(spec, mode, opinion.verifier, Severity.INFO, no_verdict(opinion), None, "", doubts(opinion))


def doubted(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    """The panel came to no verdict for the want of this one: a warning, or a refusal."""
    severity, reason = consequence(opinion.fail == "closed")
    sentence = f"{no_verdict(opinion)}; declared to fail {opinion.fail}"
    return made(spec, mode, opinion.verifier, severity, sentence, reason, "", doubts(opinion))


def no_verdict(opinion: Opinion) -> str:
    return f"no verdict ({opinion.failure})" if opinion.failure else "cannot tell whether the answer holds"


def doubts(opinion: Opinion) -> dict[str, str]:
    return {"verdict": opinion.value.label, "version": opinion.version, "failure": opinion.failure or ""}


def consequence(is_closed: bool) -> tuple[Severity, Reason | None]:
    return (Severity.ERROR, Reason.VERDICT_FAILED) if is_closed else (Severity.WARNING, None)


def too_few(spec: Spec, mode: Mode | None, verdict: PanelVerdict) -> Finding:
    """All pass, and yet too few independent families do."""
    severity, reason = consequence(verdict.fails_closed)
    sentence = "fewer independent families pass than the quorum asks for"
    return made(spec, mode, "quorum", severity, sentence, reason, "", {"verdict": verdict.value.label})


def made(
    spec: Spec,
    mode: Mode | None,
    rule: str,
    severity: Severity,
    sentence: str,
    reason: Reason | None,
    pointer: str,
    evidence: dict[str, str],
) -> Finding:
    """The rule is the verifier's configured name, so that labels stay few whatever verifiers call their own rules."""
    message = f"{spec.name}: {rule}: {sentence[:SENTENCE_CHARS]}"
    return Finding(VerificationCheck.name, rule, severity, message, reason, mode, spec.name, pointer, evidence)


def evidence_of(exchange: Exchange, spec: Spec, message: Message) -> Evidence:
    """What verifiers are shown: documents, names and the place in the work; no metadata."""
    lineage, request = exchange.lineage, exchange.last_request
    messages = [message] if request is None else [request, message]
    documents, is_readable = documents_of(messages)
    return Evidence(
        exchange_id=lineage.exchange_id,
        caller=exchange.caller,
        callee=exchange.callee,
        method=exchange.method,
        spec=spec.name,
        conversation=lineage.conversation,
        trace_id=lineage.trace_id,
        hops=lineage.hops,
        request=documents[0] if len(documents) == 2 else None,
        response=documents[-1] if documents else None,
        size_bytes=sum(each.size_bytes for each in messages),
        is_readable=is_readable,
    )


def documents_of(messages: Sequence[Message]) -> tuple[list[Any], bool]:
    """All documents, or none and False: a verifier that sees half of the evidence would blame what it misses."""
    if not all(message.is_readable for message in messages):
        return [], False
    try:
        return [message.document for message in messages], True
    except MalformedMessage:
        return [], False


def ends_stream(message: Message) -> bool:
    state = names_of(message).task_state
    return bool(state) and state.lower().removeprefix("task_state_").replace("-", "_") in LAST_STATES


def is_sampled(trace_id: str, share: float) -> bool:
    """The same answer for every exchange of a trace, in every sidecar. It saves cost; it is no secret."""
    return share >= 1.0 or int(trace_id[-SAMPLE_BITS // 4 :], 16) < share * (1 << SAMPLE_BITS)


def below(*modes: Mode | None) -> Mode | None:
    """The weakest mode of the levels below the route; None where all left it out."""
    return weakest(*modes) if any(mode is not None for mode in modes) else None


def refuses(exchange: Exchange, finding: Finding) -> bool:
    return finding.reason is not None and policy.is_enforced(exchange, finding)


def unknown_verifiers(specs: Iterable[Spec], known: Collection[str]) -> list[Mistake]:
    """A start-up mistake for each verifier that a spec requires and the configuration does not name."""
    allowed = f"the verifiers configured: {', '.join(sorted(known)) or 'none yet'}"
    return [
        Mistake(f"{spec.source or spec.name} verifiers.require", repr(name), allowed)
        for spec in specs
        if spec.panel is not None
        for name in spec.panel.require
        if name not in known
    ]
