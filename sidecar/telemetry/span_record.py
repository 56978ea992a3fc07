"""What is kept of an ended exchange for its span, and what the span says: made on two threads, defined in one place.

The record is taken on the event loop and holds no payload, so that a full queue holds no payloads either. Attributes
are made from it on the exporting thread: the `fixed` ones depend only on the edge and on how the call ended, and repeat
from call to call; the `own` ones belong to this call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sidecar.engine.exchange import Origin, Side
from sidecar.engine.finding import Reject
from sidecar.engine.message import Names
from sidecar.engine.redaction import Redactor
from sidecar.telemetry import names
from sidecar.telemetry.environ import Environ
from sidecar.telemetry.methods import bare
from sidecar.telemetry.names import OTHER_METHOD

if TYPE_CHECKING:
    from sidecar.engine.exchange import Outcome, Route
    from sidecar.engine.finding import Finding
    from sidecar.engine.lineage import Lineage

FINDINGS_LIMIT = 16
"""Findings told in one span; the rest is only counted (`dropped_events_count`)."""
ORIGINAL_METHOD_CHARS = 256

SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""What counts as an error on the called side (RPC conventions). On the calling side, every status but OK does."""

A2A_SERVICE = ".A2AService/"
"""In the full name of each A2A method, whatever version its package names."""
A2A_INVOCATIONS = frozenset({"SendMessage", "SendStreamingMessage"})

Value = str | int | float | tuple[str, ...]


class Server(NamedTuple):
    """Where a route's callee is reached: the upstream of an outbound route, the listener of an inbound one."""

    address: str
    port: int | None = None


class FixedKey(NamedTuple):
    """All that the fixed attributes depend on."""

    route: Route
    caller: str
    method: str
    code: str
    origin: Origin
    decision: str
    reason: str
    spec: str
    joined: str
    server: Server | None


class SpanRecord(NamedTuple):
    """One ended exchange. A tuple, because a frozen dataclass costs five times as much to make."""

    key: tuple[str, ...]
    """Distinguishes fixed attributes; cheap to compare, for a route's name is unique."""
    fixed: FixedKey
    lineage: Lineage
    names: Names
    original_method: str
    peer: str
    started_unix_ns: int
    ended_unix_ns: int
    status_message: str
    """Ours only: a callee's own words may quote a payload."""
    findings: tuple[Finding, ...]
    dropped_findings: int
    request_messages: int
    request_bytes: int
    response_messages: int
    response_bytes: int
    held_ns: int

    @property
    def is_error(self) -> bool:
        return is_error(self.fixed)

    @property
    def is_parent_remote(self) -> bool:
        """Only a parent named in headers lives elsewhere; a joined one is a span of ours."""
        return self.fixed.joined == "propagated"


def record_of(outcome: Outcome, method: str, server: Server | None) -> SpanRecord:
    """Take what the span needs. `method` is the known name or `_OTHER`."""
    exchange, status = outcome.exchange, outcome.status
    decision, lineage, route = exchange.decision, exchange.lineage, exchange.arrival.route
    reason = decision.reason.value if isinstance(decision, Reject) else ""
    spec = exchange.spec.name if exchange.spec is not None else ""
    fixed = FixedKey(
        route,
        exchange.caller,
        method,
        status.code,
        status.origin,
        decision.label,
        reason,
        spec,
        lineage.source,
        server,
    )
    return SpanRecord(
        (route.name, *fixed[1:9]),
        fixed,
        lineage,
        exchange.names,
        bare(exchange.arrival.method)[:ORIGINAL_METHOD_CHARS] if method == OTHER_METHOD else "",
        exchange.arrival.peer.address,
        exchange.started_unix_ns,
        # The monotonic clock measures the duration: the wall clock may step while a call is under way.
        exchange.started_unix_ns + outcome.ended_ns - exchange.started_ns,
        status.message if status.origin is Origin.SIDECAR else "",
        tuple(exchange.findings[:FINDINGS_LIMIT]),
        max(0, len(exchange.findings) - FINDINGS_LIMIT),
        exchange.requests.messages,
        exchange.requests.size_bytes,
        exchange.responses.messages,
        exchange.responses.size_bytes,
        exchange.held_ns,
    )


def masked(record: SpanRecord, redactor: Redactor) -> SpanRecord:
    """On the exporting thread: what agents wrote is masked; names and ids of our own are no secret."""
    text, names = redactor.text, record.names
    findings = tuple(
        replace(each, message=text(each.message), pointer=text(each.pointer), rule=text(each.rule))
        for each in record.findings
    )
    return record._replace(
        names=Names(
            text(names.context_id),
            text(names.task_id),
            text(names.message_id),
            text(names.task_state),
            tuple(map(text, names.reference_task_ids)),
        ),
        original_method=text(record.original_method),
        status_message=text(record.status_message),
        findings=findings,
    )


def is_error(fixed: FixedKey) -> bool:
    if fixed.route.side is Side.OUTBOUND:
        return fixed.code != "OK"
    return fixed.code in SERVER_ERRORS


def fixed_attributes(fixed: FixedKey) -> dict[str, Value]:
    attributes: dict[str, Value | None] = {
        names.RPC_SYSTEM: "grpc",
        names.RPC_METHOD: fixed.method,
        names.RPC_STATUS_CODE: fixed.code,
        names.ERROR_TYPE: fixed.code if is_error(fixed) else None,
        names.SERVER_ADDRESS: fixed.server.address if fixed.server else None,
        names.SERVER_PORT: fixed.server.port if fixed.server else None,
        names.CALLER: fixed.caller,
        names.CALLEE: fixed.route.callee,
        names.ROUTE: fixed.route.name,
        names.SIDE: fixed.route.side.value,
        names.MODE: fixed.route.mode.value,
        names.DECISION: fixed.decision,
        names.REASON: fixed.reason or None,
        names.ORIGIN: fixed.origin.value,
        names.SPEC: fixed.spec or None,
        names.LINEAGE_SOURCE: str(fixed.joined),
        **agent_attributes(fixed),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def agent_attributes(fixed: FixedKey) -> dict[str, Value | None]:
    """GenAI and A2A. Only the calling side says invoke_agent, else one hand-over would be counted twice."""
    if A2A_SERVICE not in fixed.method:
        return {}
    operation = fixed.method.rpartition("/")[2]
    is_invocation = fixed.route.side is Side.OUTBOUND and operation in A2A_INVOCATIONS
    return {
        names.A2A_METHOD: operation,
        names.OPERATION_NAME: "invoke_agent" if is_invocation else None,
        names.AGENT_NAME: fixed.route.callee if is_invocation else None,
    }


def own_attributes(record: SpanRecord) -> list[tuple[str, Value]]:
    """In a fixed order; what is not known is left out."""
    lineage = record.lineage
    attributes: list[tuple[str, Value]] = [
        (names.EXCHANGE, lineage.exchange_id),
        (names.CONVERSATION, lineage.conversation),
        (names.HOPS, lineage.hops),
        (names.PATH, tuple(lineage.path)),
        (names.REQUEST_MESSAGES, record.request_messages),
        (names.REQUEST_BYTES, record.request_bytes),
        (names.RESPONSE_MESSAGES, record.response_messages),
        (names.RESPONSE_BYTES, record.response_bytes),
        (names.OVERHEAD, record.held_ns / 1e9),
    ]
    if record.original_method:
        attributes.append((names.RPC_METHOD_ORIGINAL, record.original_method))
    if record.fixed.route.side is Side.INBOUND and record.peer:
        attributes += peer_attributes(record.peer)
    attributes += name_attributes(record)
    return attributes


def name_attributes(record: SpanRecord) -> list[tuple[str, Value]]:
    """Ids from payloads, under A2A's names only where the method is A2A's."""
    seen = record.names
    found: list[tuple[str, Value]] = []
    if seen.context_id:
        found.append((names.CONVERSATION_ID, seen.context_id))
    if A2A_SERVICE in record.fixed.method:
        named: tuple[tuple[str, Value], ...] = (
            (names.A2A_TASK_ID, seen.task_id),
            (names.A2A_TASK_STATE, seen.task_state),
            (names.A2A_MESSAGE_ID, seen.message_id),
            (names.A2A_REFERENCES, seen.reference_task_ids),
        )
        found.extend(pair for pair in named if pair[1])
    return found


def peer_attributes(peer: str) -> list[tuple[str, Value]]:
    """From gRPC's spelling: `ipv4:127.0.0.1:4242`, `ipv6:%5B::1%5D:4242`, `unix:/run/a.sock`."""
    family, _, rest = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return [(names.PEER_ADDRESS, rest or peer)]
    host, _, port = rest.replace("%5B", "[").replace("%5D", "]").rpartition(":")
    attributes: list[tuple[str, Value]] = [(names.PEER_ADDRESS, host.strip("[]"))]
    if port.isdecimal():
        attributes.append((names.PEER_PORT, int(port)))
    return attributes


def finding_attributes(finding: Finding) -> list[tuple[str, Value]]:
    attributes: list[tuple[str, Value]] = [
        (names.FINDING_CHECK, finding.check),
        (names.FINDING_RULE, finding.rule),
        (names.FINDING_SEVERITY, finding.severity.value),
        (names.FINDING_MESSAGE, finding.message),
    ]
    if finding.pointer:
        attributes.append((names.FINDING_POINTER, finding.pointer))
    return attributes


@dataclass(frozen=True, slots=True)
class Limits:
    """What OTEL_*_LIMIT variables allow one span to hold."""

    value_chars: int | None = None
    """Longer text is cut; None leaves it whole."""
    attributes: int = 128
    events: int = 128
    links: int = 128

    def cut(self, attributes: list[tuple[str, Value]], already: int = 0) -> list[tuple[str, Value]]:
        """At most what may be added to `already` attributes, each text cut."""
        allowed = attributes[: max(0, self.attributes - already)]
        if self.value_chars is None:
            return allowed
        return [(name, cut(value, self.value_chars)) for name, value in allowed]


def cut(value: Value, chars: int) -> Value:
    if isinstance(value, str):
        return value[:chars]
    return tuple(text[:chars] for text in value) if isinstance(value, tuple) else value


def limits_of(environ: Mapping[str, str]) -> Limits:
    """ConfigError where a limit is not a whole number."""
    variables = Environ(environ)
    most = Limits()
    attributes = variables.whole(0, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    events = variables.whole(0, "OTEL_SPAN_EVENT_COUNT_LIMIT")
    links = variables.whole(0, "OTEL_SPAN_LINK_COUNT_LIMIT")
    chars = variables.whole(0, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    variables.refuse_mistakes()
    return Limits(
        chars,
        most.attributes if attributes is None else attributes,
        most.events if events is None else events,
        most.links if links is None else links,
    )
