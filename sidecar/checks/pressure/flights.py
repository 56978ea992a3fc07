"""Flights: identical reads under way, in this process. The first asks the callee, the others wait for its answer.

Identical means the same method, payload and metadata (but for trace and lineage), under the same spec, and of the same
caller unless the spec says otherwise: an answer may depend on a credential, so calls with two of them share nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sidecar.engine.entry import ENTRY_KEY
from sidecar.engine.exchange import Answer, Exchange, Origin, Status
from sidecar.engine.message import Message
from sidecar.engine.recording import Recording
from sidecar.engine.specs import ReadTerms

FLIGHTS_MAX: Final = 1_000
WAITERS_MAX: Final = 100
"""Waiters of one flight. What comes on top asks the callee itself."""
RECORDED_MAX_BYTES: Final = 1 << 20
"""A larger answer is not shared."""
RECORDED_TOTAL_MAX_BYTES: Final = 64 << 20
"""What all flights may hold together."""

PER_CALL: Final = frozenset({"traceparent", "tracestate", "baggage", ENTRY_KEY, "grpc-previous-rpc-attempts"})
"""Metadata that differs from call to call and says nothing about the question."""

FIRST_CALLERS_OWN: Final = frozenset({"CANCELLED", "DEADLINE_EXCEEDED"})
"""Ends that the leader's caller brought about. The others still want an answer."""

ANOTHER_CALLERS: Final = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"})
"""Answers that are about who asked, so that they go to nobody else."""


class Landing(Enum):
    """What waiters are told where there is no answer for them."""

    NEXT = "next"
    """One of you asks, the others go on waiting."""
    ALONE = "alone"
    """Each asks for itself: what came of this flight is nothing to wait for again."""


@dataclass(slots=True, eq=False)
class Flight:
    """One read under way, and who waits for it."""

    key: bytes
    waiters: list[asyncio.Future[Recording | Landing]] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    has_landed: bool = False
    across_callers: bool = False
    is_shared: bool = True
    """Whether anybody may wait for it: in observe it is only known to be under way, and nothing of it is kept."""


class Flights:
    """Every flight of this process."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}
        self._recorded_bytes = 0

    def find(self, key: bytes) -> Flight | None:
        return self._flights.get(key)

    def begin(self, key: bytes, terms: ReadTerms, *, is_shared: bool = True) -> Flight | None:
        """The flight that its caller now leads; None where there are too many to keep."""
        if len(self._flights) >= FLIGHTS_MAX:
            return None
        flight = self._flights[key] = Flight(key, across_callers=terms.across_callers, is_shared=is_shared)
        return flight

    async def join(self, flight: Flight) -> Recording | Landing:
        """Wait for it. A waiter that leaves takes nobody with it."""
        if len(flight.waiters) >= WAITERS_MAX:
            return Landing.ALONE
        landed: asyncio.Future[Recording | Landing] = asyncio.get_running_loop().create_future()
        flight.waiters.append(landed)
        try:
            return await landed
        finally:
            if not flight.has_landed:
                flight.waiters.remove(landed)

    def record(self, flight: Flight, message: Message) -> None:
        """A part of the answer, as the callee sent it."""
        if flight.has_landed or not flight.is_shared:
            return
        flight.payloads.append(message.payload)
        flight.size_bytes += message.size_bytes
        self._recorded_bytes += message.size_bytes
        if flight.size_bytes > RECORDED_MAX_BYTES or self._recorded_bytes > RECORDED_TOTAL_MAX_BYTES:
            self._land(flight, Landing.ALONE)

    def end(self, flight: Flight, status: Status, answer: Answer | None) -> None:
        """The leader's exchange has ended, in whatever way."""
        if not flight.has_landed:
            self._land(flight, what_landed(flight, status, answer))

    def _land(self, flight: Flight, landed: Recording | Landing) -> None:
        flight.has_landed = True
        del self._flights[flight.key]
        self._recorded_bytes -= flight.size_bytes
        flight.payloads = []
        for waiter in flight.waiters:
            if not waiter.done():
                waiter.set_result(landed)


def what_landed(flight: Flight, status: Status, answer: Answer | None) -> Recording | Landing:
    if status.code in FIRST_CALLERS_OWN:
        return Landing.NEXT
    if status.origin is not Origin.UPSTREAM or answer is None:
        return Landing.ALONE
    if flight.across_callers and status.code in ANOTHER_CALLERS:
        return Landing.NEXT
    return Recording(status.code, status.message, tuple(flight.payloads), answer.headers, answer.trailers)


def flight_key(exchange: Exchange, request: Message, terms: ReadTerms) -> bytes:
    """A digest of the question and of all that its answer may depend on."""
    digest = hashlib.blake2b(digest_size=16)
    caller = "" if terms.across_callers else exchange.caller
    said = [entry for entry in exchange.arrival.metadata if entry[0] not in PER_CALL]
    parts: list[str | bytes] = [caller, exchange.callee, exchange.method, exchange.route.name, f"{id(exchange.spec)}"]
    for part in [*parts, *(each for entry in said for each in entry), request.payload]:
        raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
