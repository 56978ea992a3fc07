"""The gate: every admin call passes it, and none of them can do more than its bounds allow.

Requests are read here and not by grpc, so that one that never comes is given up, nonsense is told from a wrong field,
and nothing is read of a caller who may not ask. Those without a credential share a few places among themselves: the
agent that is policed reaches this port as well, and must not keep its operator out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from sidecar.admin.access import Access, Caller, Role
from sidecar.admin.audit import Audit
from sidecar.admin.problem import Problem, Why
from sidecar.engine.ports import Clock
from sidecar.errors import StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

ANYBODY: Final = Caller("anybody", Role.NONE, has_credential=False)

IdentityOf = Callable[[Mapping[str, Any]], "str | None"]
"""The name in a client certificate that was verified, from what grpc says of a connection."""


class CallerLeft(Exception):
    """There is nobody any more to be told anything."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What bounds every call."""

    request_s: float = 5.0
    """For the request to come."""
    answer_s: float = 10.0
    """For the answer to be made; of a stream that ends by itself, for each of its parts."""
    write_s: float = 30.0
    """For a reader of a stream to take one message. Who takes none for so long has gone."""
    calls: int = 32
    """At once, with a credential."""
    calls_without: int = 8
    """At once, of all without one."""
    tails: int = 16
    tails_without: int = 4
    rate_without_per_s: float = 20.0
    """Calls begun in a second, of all without a credential, and how many may begin at once after a quiet time."""
    burst_without: int = 40
    requests: int = 200
    """Of one call, where there may be many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and who makes it."""

    request: Any
    caller: Caller


Unary = Callable[[Asked], Awaitable[Any]]
Streaming = Callable[[Asked], AsyncIterator[Any]]
Dialogue = Callable[[AsyncIterator[Any]], AsyncIterator[Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the service."""

    name: str
    """`Quarantine`."""
    role: Role
    parse: Callable[[bytes], Any]
    unary: Unary | None = None
    streaming: Streaming | None = None
    dialogue: Dialogue | None = None
    """Requests as they come, until the caller has no more or lets one wait for too long."""

    @property
    def is_stream(self) -> bool:
        return self.unary is None

    @property
    def is_change(self) -> bool:
        return self.role is Role.OPERATE


@dataclass(slots=True)
class Room:
    """Places for calls that are under way at once."""

    most: int
    taken: int = 0

    @contextmanager
    def place(self) -> Any:
        if self.taken >= self.most:
            raise Problem(Why.BUSY, "as many calls as are served at once are under way", retry_delay_s=1.0)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


@dataclass(slots=True)
class Pace:
    """How often those without a credential are answered, all of them together: a list costs more than a call does."""

    per_s: float
    burst: int
    clock: Clock
    tokens: float = field(init=False)
    at_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self.at_ns = float(self.burst), self.clock.monotonic_ns()

    def step(self) -> None:
        """Raises Problem where they ask too often."""
        now_ns = self.clock.monotonic_ns()
        self.tokens = min(self.burst, self.tokens + (now_ns - self.at_ns) / 1e9 * self.per_s)
        self.at_ns = now_ns
        if self.tokens < 1:
            delay_s = (1 - self.tokens) / self.per_s
            raise Problem(Why.BUSY, "without a credential one is answered only so often", retry_delay_s=delay_s)
        self.tokens -= 1


@dataclass(slots=True)
class Rooms:
    """By whether a credential was shown, and whether the call is a stream."""

    limits: GateLimits
    rooms: dict[tuple[bool, bool], Room] = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.rooms = {
            (True, False): Room(limits.calls),
            (False, False): Room(limits.calls_without),
            (True, True): Room(limits.tails),
            (False, True): Room(limits.tails_without),
        }

    def of(self, caller: Caller, method: Method) -> Room:
        return self.rooms[caller.has_credential, method.is_stream]


class Gate(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Serves the methods it is given, and nothing else."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        access: Access,
        audit: Audit,
        *,
        identity_of: IdentityOf,
        clock: Clock,
        limits: GateLimits | None = None,
    ) -> None:
        """`methods` by their full names, with the slash."""
        self._methods = methods
        self._access = access
        self._audit = audit
        self._identity_of = identity_of
        self._limits = limits or GateLimits()
        self._changes: set[asyncio.Task[Any]] = set()
        """Under way."""
        self._rooms = Rooms(self._limits)
        self._pace = Pace(self._limits.rate_without_per_s, self._limits.burst_without, clock)

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        metadata = dict(handler_call_details.invocation_metadata or ())

        async def handle(_requests: Any, context: Any) -> None:
            await self._serve(method, metadata, context)

        return grpc.stream_stream_rpc_method_handler(handle)

    async def _serve(self, method: Method, metadata: Mapping[str, Any], context: Any) -> None:
        """Whatever happens ends in an answer or a Problem, and never in grpc's own words for a crash."""
        caller: Caller | None = None
        request: Any = None
        try:
            caller = self._caller(method, metadata, context)
            self._access.require(caller, method.role)
            if not caller.has_credential and method.role is not Role.NONE:
                self._pace.step()
            with self._rooms.of(caller, method).place():
                if method.dialogue is not None:
                    await self._send(method.dialogue(self._requests(method, context)), context)
                    return
                request = await self._request(method, context)
                await self._answer(method, Asked(request, caller), context)
        except CallerLeft:
            return
        except Exception as error:
            problem = problem_of(error, method)
            if method.is_change:
                self._audit.refused(caller, context.peer(), method.name, request, problem)
            await context.abort(problem.code, str(problem), trailing_metadata=problem.trailers)

    def _caller(self, method: Method, metadata: Mapping[str, Any], context: Any) -> Caller:
        """What asks for no role is anybody's."""
        if method.role is Role.NONE:
            return ANYBODY
        return self._access.caller(metadata, context.peer(), self._identity_of(context.auth_context()))

    async def _requests(self, method: Method, context: Any) -> AsyncIterator[Any]:
        for _ in range(self._limits.requests):
            payload = await self._payload(context)
            if payload is aio.EOF:
                return
            yield self._parsed(method, payload)

    async def _payload(self, context: Any) -> Any:
        try:
            return await asyncio.wait_for(context.read(), self._limits.request_s)
        except TimeoutError:
            raise Problem(Why.STALLED, f"no request within {self._limits.request_s:g} s") from None

    async def _request(self, method: Method, context: Any) -> Any:
        payload = await self._payload(context)
        if payload is aio.EOF:
            raise Problem(Why.MALFORMED, "the call ended without a request")
        return self._parsed(method, payload)

    def _parsed(self, method: Method, payload: bytes) -> Any:
        try:
            return method.parse(payload)
        except (DecodeError, ValueError):
            raise Problem(Why.MALFORMED, f"{len(payload)} bytes that are no request of {method.name}") from None

    async def _answer(self, method: Method, asked: Asked, context: Any) -> None:
        if method.unary is None:
            assert method.streaming is not None
            await self._send(method.streaming(asked), context)
        elif method.is_change:
            await self._write(context, await self._change(method, asked))
        else:
            await self._write(context, await self._in_time(method.unary(asked)))

    async def _change(self, method: Method, asked: Asked) -> Any:
        """Whole, and written down, also where its caller leaves in the middle of it."""
        change = asyncio.create_task(self._changed(method, asked))
        self._changes.add(change)
        change.add_done_callback(self._forget)
        return await asyncio.shield(change)

    async def _changed(self, method: Method, asked: Asked) -> Any:
        assert method.unary is not None
        answer = await self._in_time(method.unary(asked))
        self._audit.done(asked.caller, method.name, asked.request)
        return answer

    def _forget(self, change: asyncio.Task[Any]) -> None:
        self._changes.discard(change)
        if not change.cancelled():
            change.exception()  # told to the caller, if there still is one

    async def _send(self, answers: AsyncIterator[Any], context: Any) -> None:
        try:
            async for answer in answers:
                await self._write(context, answer)
        finally:
            await answers.aclose()  # type: ignore[attr-defined]  # an asynchronous generator, each of them

    async def _in_time(self, work: Awaitable[Any]) -> Any:
        try:
            return await asyncio.wait_for(work, self._limits.answer_s)
        except TimeoutError:
            raise Problem(Why.TOO_SLOW, f"no answer within {self._limits.answer_s:g} s") from None

    async def _write(self, context: Any, answer: Any) -> None:
        try:
            await asyncio.wait_for(context.write(answer.SerializeToString()), self._limits.write_s)
        except TimeoutError:
            raise Problem(Why.TOO_SLOW, f"nothing was read for {self._limits.write_s:g} s") from None
        except Exception as error:
            raise CallerLeft from error  # grpc has nobody to send it to


def problem_of(error: Exception, method: Method) -> Problem:
    """Whatever was raised, as the caller is told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreUnavailable):
        return Problem(Why.STORE_UNAVAILABLE, f"the shared store does not answer: {error}", retry_delay_s=1.0)
    if isinstance(error, StoreFull):
        return Problem(Why.FULL, str(error))
    log.error("admin: %s failed", method.name, exc_info=error)
    return Problem(Why.INTERNAL, f"{method.name} failed; the sidecar's log says more")
