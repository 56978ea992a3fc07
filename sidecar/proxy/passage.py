"""One call on its way through: what happens at each station, and every way in which it can end.

`forward` puts the stations in order. A passage knows the caller's side (a grpc servicer context), the engine's exchange
and, once dispatched, the upstream call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc import aio
from grpc._cython import cygrpc

from sidecar.engine.exchange import Answer, Arrival, Exchange, Origin, Peer, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Reject, Replay, Severity
from sidecar.engine.guarding import GUARDED_KEY, SPENT_KEY, UNSEEN, is_unseen, mark_of, spent_in, tells_caller
from sidecar.engine.json_codec import JSON_CODEC, sniff
from sidecar.engine.message import Codec, Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.errors import Reason, UpstreamError, UpstreamTooSlow
from sidecar.proxy.deadline import relayed
from sidecar.proxy.detached import Detached, Nobody
from sidecar.proxy.metadata import carried
from sidecar.proxy.room import Room
from sidecar.proxy.status import CODES, local_reply, replay_trailers, upstream_status
from sidecar.proxy.upstream import Connection, Upstream

log = logging.getLogger(__name__)

EOF = aio.EOF
SETTLE_TICKS = 3
"""Turns of the event loop in which events that grpc reported together have all been seen."""

SETTLE_UPLOAD_S = 0.002
"""How long the end of an upload may turn out to be a departure. Seen: up to 1 ms, in 3 of 1,000 departures."""


@dataclass(frozen=True, slots=True)
class Way:
    """What all calls of one route share."""

    route: Route
    engine: Engine
    upstream: Upstream
    room: Room
    default_deadline_s: float | None = None
    """Given to calls that carry none, where the route enforces."""
    wants_identity: bool = False
    """Whether callers present client certificates."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """Agents by the names in their client certificates."""
    compression: grpc.Compression | None = None
    """How responses are compressed for the caller; None leaves it to grpc's default, which is not at all."""
    detached: Detached = field(default_factory=Detached)
    """What goes on without its caller."""


@dataclass(frozen=True, slots=True)
class MethodView:
    """A method's name, and how to read its payloads where descriptors say so."""

    name: str
    request: Codec | None = None
    response: Codec | None = None
    is_unary: bool = False
    """Whether it is known to take one request and give one response."""

    def message(self, direction: Direction, sequence: int, payload: bytes) -> Message:
        """A message of this method. JSON is recognised where descriptors say nothing."""
        codec = self.request if direction is Direction.REQUEST else self.response
        if codec is None and sniff(payload):
            codec = JSON_CODEC
        return Message(direction, sequence, payload, codec)


class Refused(Exception):
    """The exchange's decision is a refusal or a replay: leave the normal way and answer in the callee's place."""


HINT_TRAILER = "sidecar-hint"
"""Trailer that tells a framework what is about to be refused: `loop; remaining=1`."""


class Passage:
    """The stations of one call."""

    __slots__ = (
        "_broken",
        "_call",
        "_connection",
        "_context",
        "_has_ended",
        "_has_sent_all",
        "_held_bytes",
        "_method",
        "_sent_headers",
        "_way",
        "exchange",
        "is_alone",
        "reply",
    )

    def __init__(self, way: Way, method: MethodView, context: Any, exchange: Exchange) -> None:
        self._way = way
        self._method = method
        self._context = context
        self.exchange = exchange
        self._connection: Connection | None = None
        self._call: Any = None
        self._held_bytes = 0
        self._has_ended = False
        self._has_sent_all = False
        self.is_alone = False
        """Whether it goes on without its caller."""
        self._sent_headers = False
        self._broken: Exception | None = None
        """What went wrong on our side while requests were relayed in the background."""
        self.reply = b""
        """What a unary caller is answered."""

    @classmethod
    async def begin(cls, way: Way, method: MethodView, context: Any, first: Message | None) -> Passage:
        metadata = carried(context.invocation_metadata())
        peer = peer_of(context, way)
        arrival = Arrival(way.route, method.name, metadata, peer, first, context.time_remaining())
        if way.compression is not None:
            context.set_compression(way.compression)
        return cls(way, method, context, await way.engine.arrive(arrival))

    # Stations, in the order in which a call meets them.

    async def admit(self, has_room: bool) -> None:
        """Turn the call away where the route is full or a check refused its headers."""
        await self._way.engine.open(self.exchange)
        if not has_room or self._way.room.is_full:
            await self._way.engine.named(self.exchange)
            self._refuse(Reason.OVERLOADED, "room", f"route {self._way.route.name} holds as much as it may")
        if not isinstance(self.exchange.decision, Forward):
            raise Refused

    async def look(self, message: Message) -> None:
        """Let the engine see a message before it moves on. Raises Refused."""
        self._hold(message.size_bytes)
        if not isinstance(await self._way.engine.message(self.exchange, message), Forward):
            raise Refused

    async def connect(self) -> Connection:
        """A connection that is ready. Raises UpstreamError; then nothing was dispatched."""
        self._connection = await self._way.upstream.connection(self._context.time_remaining())
        return self._connection

    def dispatch(self, start: Any, *payload: bytes) -> Any:
        """Start the upstream call: from here on the callee may have seen it."""
        timeout_s = self._timeout_s()
        self._has_sent_all = bool(payload)
        self._call = start(*payload, metadata=self._way.engine.stamp(self.exchange), timeout=timeout_s)
        return self._call

    async def relay_requests(self) -> None:
        """Requests as they come, then the half-close. Runs beside `relay_responses`, which tells how the call ended."""
        call = self._call
        try:
            await call.wait_for_connection()
            await self._pump_requests(call)
        except Refused:
            call.cancel()
        except (aio.AioRpcError, aio.UsageError, asyncio.InvalidStateError, cygrpc.InternalError):
            # The upstream call has ended, and its status says why.
            return
        except Exception as error:
            self._broken = error
            call.cancel()

    async def _pump_requests(self, call: Any) -> None:
        sequence = 0
        while (payload := await self._context.read()) is not EOF:
            await self.look(self._method.message(Direction.REQUEST, sequence, payload))
            # Not call.write(): when the callee answers early, a failing write would replace its status by INTERNAL.
            await call._cython_call.send_serialized_message(payload)
            self._free(len(payload))
            await self._way.room.wait()
            sequence += 1
        await self._settle_end_of_requests(is_upload=sequence > 1)
        await call.done_writing()
        self._has_sent_all = True

    async def _settle_end_of_requests(self, *, is_upload: bool) -> None:
        """Tell a half-close from a departure: grpc reports both as the end of the requests.

        The departure follows at once and cancels us, so that the callee never takes a broken-off upload for a complete
        one. A single message is most likely a unary call, which should not wait for that.
        """
        if is_upload:
            await asyncio.sleep(SETTLE_UPLOAD_S)
        else:
            await self._context.read()
            await ticks()

    async def relay_response(self) -> None:
        """The one response of a unary method. Raises AioRpcError where the callee ended otherwise."""
        response: bytes = await self._call
        if self._may_be_from_a_record:
            self._heed(await self._call.initial_metadata())
        await self.look(self._method.message(Direction.RESPONSE, 0, response))
        # grpc hands over the headers of a unary answer together with it.
        if headers := await self.complete():
            await self._context.send_initial_metadata(headers)
        self.reply = response

    async def relay_responses(self) -> None:
        """Headers when they come, then messages. Returns when the callee ended well, raises AioRpcError otherwise."""
        call = self._call
        await self._relay_early_headers(call)
        sequence = 0
        while (payload := await call.read()) is not EOF:
            await self.look(self._method.message(Direction.RESPONSE, sequence, payload))
            await self._give(payload)
            self._free(len(payload))
            await self._way.room.wait()
            sequence += 1

    async def _give(self, payload: bytes) -> None:
        try:
            await self._context.write(payload)
        except (cygrpc.ExecuteBatchError, aio.UsageError):
            if self.exchange.is_awaited is None:
                raise
            # The caller has left. Whether the call goes on is decided where its handler hears of that.
            self._context = Nobody()

    @property
    def _may_be_from_a_record(self) -> bool:
        """Whether the callee's sidecar may keep what we keep as well, and answer in the callee's place."""
        return self.exchange.side is Side.OUTBOUND and self.exchange.is_guarded_here

    def _heed(self, headers: Any) -> None:
        """What an answer says that the callee's sidecar gives again, checks should know before they see it."""
        self.exchange.is_unseen_there = is_unseen(tuple(headers or ()))

    async def _relay_early_headers(self, call: Any) -> None:
        told = await call.initial_metadata()
        if self._may_be_from_a_record:
            self._heed(told)
        headers = carried(told)
        if not headers:
            # An answer of trailers alone shows itself as empty headers with the status close behind.
            await ticks()
            if call.done():
                return
        self._sent_headers = True
        await self._context.send_initial_metadata(headers)

    # Ends. Each tells the engine first and the caller second, so that a caller's next call meets a settled state.

    async def complete(self) -> tuple[Any, ...]:
        """The callee said OK. Its headers, as far as they are carried on. Raises Refused."""
        status = Status("OK", await self._call.details() or "")
        headers = carried(await self._call.initial_metadata())
        trailers = await self._answered(status, headers, await self._call.trailing_metadata())
        self._context.set_trailing_metadata(trailers)
        self._context.set_details(status.message)
        await self._end(status)
        return headers

    async def answer_upstream_error(self, error: aio.AioRpcError) -> None:
        """The callee's own status: data, passed on as it is."""
        if self._connection is not None:
            self._way.upstream.inspect(self._connection, error)
        status = upstream_status(error.code(), error.details() or "", error.trailing_metadata())
        try:
            trailers = await self._answered(status, carried(error.initial_metadata()), error.trailing_metadata())
        except Refused:
            await self.answer_ourselves()
            return
        await self._end(status)
        await self._send_late_headers(error)
        await self._context.abort(error.code(), status.message, trailers)

    async def _answered(self, status: Status, headers: tuple[Any, ...], trailers: Any) -> tuple[Any, ...]:
        """The trailers for the caller, once the engine has heard of the answer. Raises Refused."""
        told = tuple(trailers or ())
        answer = Answer(status, headers, carried(told), is_unseen(told))
        decision = await self._way.engine.answered(
            self.exchange,
            answer,
            is_guarded_there=any(key == GUARDED_KEY for key, _ in told),
            spent_there_micro_usd=spent_in(told),
        )
        if not isinstance(decision, Forward):
            raise Refused
        return (*answer.trailers, *self._own_trailers())

    def _own_trailers(self) -> list[tuple[str, str]]:
        own: list[tuple[str, str]] = []
        if isinstance(self.exchange.decision, Forward):
            # A refusal says what is the matter: that something else was near its limit would only confuse.
            own += [(HINT_TRAILER, hint) for hint in self.exchange.hints]
        if tells_caller(self.exchange):
            own.append((GUARDED_KEY, mark_of(self.exchange)))
            if (spent := self.exchange.spent_micro_usd) is not None:
                own.append((SPENT_KEY, str(spent)))
        return own

    async def _send_late_headers(self, error: aio.AioRpcError) -> None:
        headers = carried(error.initial_metadata())
        if headers and self._method.is_unary:
            await self._context.send_initial_metadata(headers)

    async def answer_ourselves(self) -> None:
        """A refusal, or an answer from the record."""
        decision = self.exchange.decision
        self._hang_up()
        if isinstance(decision, Replay):
            await self._replay(decision)
            return
        assert isinstance(decision, Reject)
        reply = local_reply(self.exchange, decision)
        await self._end(Status(reply.code.name, reply.message, Origin.SIDECAR))
        await self._context.abort(reply.code, reply.message, (*reply.trailers, *self._own_trailers()))

    async def _replay(self, replay: Replay) -> None:
        """The recorded answer, byte for byte, with one trailer more that marks it as ours."""
        recording = replay.recording
        await self._end(Status(recording.code, recording.details, Origin.SIDECAR))
        mark = ((GUARDED_KEY, UNSEEN),) if tells_caller(self.exchange) else ()
        if (recording.headers or mark) and not self._sent_headers:
            await self._context.send_initial_metadata((*recording.headers, *mark))
        await self._give_again(recording.messages)
        trailers = (*recording.trailers, *replay_trailers(), *self._own_trailers())
        if recording.code != "OK":
            await self._context.abort(CODES[recording.code], recording.details, trailers)
        self._context.set_trailing_metadata(trailers)
        self._context.set_details(recording.details)

    async def _give_again(self, messages: Sequence[bytes]) -> None:
        if self._method.is_unary:
            self.reply = messages[0] if messages else b""
            return
        for payload in messages:
            await self._context.write(payload)

    async def answer_unreachable(self, error: UpstreamError) -> None:
        """Nothing was dispatched: no connection, or no time left."""
        if isinstance(error, UpstreamTooSlow):
            await self._end(Status("DEADLINE_EXCEEDED", str(error), Origin.SIDECAR))
            await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        self._decide(Reason.UPSTREAM_UNREACHABLE, "connect", str(error))
        await self.answer_ourselves()

    async def answer_own_failure(self, error: Exception) -> None:
        """A mistake in the sidecar itself."""
        log.exception("call of %s failed inside the sidecar", self._method.name, exc_info=error)
        self._decide(Reason.CHECK_FAILED, "crashed", f"the sidecar failed: {type(error).__name__}")
        await self.answer_ourselves()

    async def interrupted(self) -> bool:
        """A CancelledError reached us: the caller left, or we ended the upstream call on purpose.

        Whether the caller was answered all the same, from the record. A refusal raises, as grpc has it.
        """
        if asyncio.current_task().cancelling():  # type: ignore[union-attr]
            await self.abandon()
        elif self._broken is not None:
            await self.answer_own_failure(self._broken)
        elif not isinstance(self.exchange.decision, Forward):
            await self.answer_ourselves()
            return True
        else:
            await self.abandon()
        return False

    @property
    def may_outlive_caller(self) -> bool:
        """Whether others may come to wait for its answer: then it runs apart from its handler."""
        return self.exchange.may_be_awaited

    async def is_awaited(self) -> bool:
        """Whether others wait for the answer, and nothing more is needed from the caller for it."""
        ask = self.exchange.is_awaited
        return self._has_sent_all and not self._has_ended and ask is not None and await ask()

    def break_off_upload(self) -> None:
        """The caller has left. At once, so that what it had not finished sending cannot look finished."""
        if not self._has_sent_all:
            self._hang_up()

    def go_on_alone(self) -> None:
        """The caller has left, and what it would have been told goes to nobody."""
        self.is_alone = True
        self._context = Nobody()

    @property
    def way(self) -> Way:
        return self._way

    def leave_route(self) -> None:
        """Give back the place that the call has on its route."""
        self._way.room.leave()

    async def abandon(self) -> None:
        """The caller left, or its deadline passed while the callee was at work."""
        self._hang_up()
        is_late = self._context.time_remaining() == 0
        code, why = ("DEADLINE_EXCEEDED", "the deadline passed") if is_late else ("CANCELLED", "the caller left")
        await self._end(Status(code, why, Origin.DOWNSTREAM))

    def release(self) -> None:
        """Give back what the route holds for this call."""
        self._free(self._held_bytes)

    # Helpers.

    async def _end(self, status: Status) -> None:
        # The caller may leave while we send it the answer; the exchange has ended by then.
        if not self._has_ended:
            self._has_ended = True
            ending = self._way.engine.end(self.exchange, status)
            await (self._way.detached.whole(ending) if self._way.engine.ends_later else ending)

    def _hang_up(self) -> None:
        if self._call is not None and not self._call.done():
            self._call.cancel()

    def _refuse(self, reason: Reason, rule: str, message: str) -> None:
        self._decide(reason, rule, message)
        raise Refused

    def _decide(self, reason: Reason, rule: str, message: str) -> None:
        severity = Severity.INTERNAL if reason is Reason.CHECK_FAILED else Severity.ERROR
        self._way.engine.refuse(self.exchange, Finding("proxy", rule, severity, message, reason))

    def _timeout_s(self) -> float | None:
        remaining_s = self._context.time_remaining()
        if remaining_s is None:
            remaining_s = self._way.engine.timeout_s(self.exchange, self._way.default_deadline_s)
        timeout_s = relayed(remaining_s)
        if timeout_s is not None and timeout_s <= 0:
            raise UpstreamTooSlow("the caller's deadline passed before the call could be dispatched")
        return timeout_s

    def _hold(self, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        self._way.room.hold(size_bytes)

    def _free(self, size_bytes: int) -> None:
        self._held_bytes -= size_bytes
        self._way.room.free(size_bytes)


def peer_of(context: Any, way: Way) -> Peer:
    if not way.wants_identity:
        return Peer(context.peer())
    identity = identity_of(context.auth_context())
    return Peer(context.peer(), identity, way.identities.get(identity or ""))


IDENTITY_PROPERTIES = ("spiffe_id", "x509_uri", "x509_dns", "x509_subject_alternative_name", "x509_common_name")
"""Properties of a verified client certificate that may name the caller, the one hardest to confuse first."""


def identity_of(properties: Mapping[str, Any]) -> str | None:
    """The name in a verified client certificate: SPIFFE id, else the first alternative name, else the common name."""
    for name in IDENTITY_PROPERTIES:
        if values := list(properties.get(name, ())):
            return bytes(values[0]).decode("utf-8", "replace")
    return None


async def ticks() -> None:
    for _ in range(SETTLE_TICKS):
        await asyncio.sleep(0)
