"""Exchanges as an engine would hand them to reporters, with every fact overridable by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sidecar.engine.exchange import Arrival, Exchange, Mode, Origin, Outcome, Peer, Route, Side, Status
from sidecar.engine.finding import Finding, Reject, Severity
from sidecar.engine.lineage import JoinSource, Lineage
from sidecar.engine.message import Direction, Message
from sidecar.errors import Reason

SEND = "/lf.a2a.v1.A2AService/SendMessage"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
PARENT_ID = "00f067aa0ba902b7"
STARTED_UNIX_NS = 1_700_000_000_000_000_000

INBOUND = Route("inbound", Side.INBOUND, "planner", "researcher", Mode.ENFORCE)
OUTBOUND = Route("to-writer", Side.OUTBOUND, "researcher", "writer", Mode.OBSERVE)


class Clock:
    """Held still until moved."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def unix_ns(self) -> int:
        return STARTED_UNIX_NS

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


def lineage(**facts: Any) -> Lineage:
    """Sampled, propagated by the caller, two calls below the root."""
    common: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "parent_span_id": PARENT_ID,
        "is_sampled": True,
        "is_random": True,
        "tracestate": (),
        "source": JoinSource.PROPAGATED,
        "links": (),
        "exchange_id": "exchange-1",
        "conversation": "conversation-1",
        "hops": 2,
        "path": ("planner", "researcher"),
    }
    return Lineage(**(common | facts))


def exchange(
    route: Route = INBOUND,
    method: str = SEND,
    caller: str = "planner",
    peer: str = "ipv4:127.0.0.1:4242",
    **facts: Any,
) -> Exchange:
    return Exchange(
        arrival=Arrival(route, method, peer=Peer(peer)),
        lineage=lineage(**facts),
        caller=caller,
        started_ns=1_000_000_000,
        started_unix_ns=STARTED_UNIX_NS,
    )


def ended(
    call: Exchange, code: str = "OK", message: str = "", origin: Origin = Origin.UPSTREAM, seconds: float = 0.25
) -> Outcome:
    duration_ns = int(seconds * 1e9)
    status = Status(code, message, origin)
    return Outcome(call, status, call.started_ns + duration_ns, call.started_unix_ns + duration_ns)


def message(direction: Direction = Direction.REQUEST, payload: bytes = b"x" * 100) -> Message:
    return Message(direction, 0, payload)


def finding(rule: str = "query-not-blank", severity: Severity = Severity.ERROR, **more: Any) -> Finding:
    return Finding("spec", rule, severity, "a query needs text", pointer="/message/parts/0", **more)


def refused(call: Exchange, complaint: Finding | None = None) -> Outcome:
    """The sidecar answered INVALID_ARGUMENT in the callee's place."""
    complaint = complaint or finding(reason=Reason.REQUEST_SPEC_VIOLATION)
    call.findings.append(complaint)
    call.decision = Reject(Reason.REQUEST_SPEC_VIOLATION, (complaint,))
    return ended(call, "INVALID_ARGUMENT", complaint.message, Origin.SIDECAR)


def spec(name: str = "researcher/v1") -> Any:
    return SimpleNamespace(name=name)
