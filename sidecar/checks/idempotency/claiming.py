"""Claiming: asking a store for a key, waiting while another has it, and giving back what nobody will use."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from sidecar.checks.idempotency.hold import Ending
from sidecar.checks.idempotency.identity import Identity
from sidecar.checks.idempotency.waiting import LEASE_S, PAUSE_S, WAIT_SLACK_S, Flights, Keeper
from sidecar.engine.ahead import Key
from sidecar.engine.eager import Done, begun
from sidecar.engine.exchange import Exchange
from sidecar.engine.ports import Clock
from sidecar.engine.specs import Idempotency
from sidecar.engine.state import Claims, Reach
from sidecar.engine.state.claims import Claimed, Sighting, Standing
from sidecar.engine.state.reach import is_consistent
from sidecar.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Call:
    """One request with its identity."""

    exchange: Exchange
    terms: Idempotency
    identity: Identity
    until_ns: int
    """Until when it would wait for another; 0: it does not."""


Found = tuple[Claims, Claimed, Sighting | None]
"""Who answered, how the key stands, and who asked for the same before."""


class Claimant:
    """Asks for keys on behalf of calls. What is asked for a call that has left is given back."""

    def __init__(self, claims: Reach[Claims], clock: Clock, flights: Flights, keeper: Keeper) -> None:
        self._claims = claims
        self._clock = clock
        self._flights = flights
        self._keeper = keeper

    def claim_ahead(self, call: Call) -> None:
        """Ask now what `claim` will ask."""
        self._claims.ahead(call.exchange, partial(ask_first, call), key_of(call), partial(self._unclaim, call))

    async def _unclaim(self, call: Call, claims: Claims, found: Found | None) -> None:
        """Nobody came for what was asked ahead. Of a call that another sidecar has seen, that one says how it ended."""
        if found is not None and found[1].standing is Standing.NEW:
            self._keeper.begin(partial(claims.release, call.identity.key, found[1].token))
        elif found is None and not call.exchange.lineage.was_seen_by_caller:
            self._keeper.owes(partial(forget, call, claims))

    async def claim(self, call: Call) -> Found:
        """Raises StoreUnavailable where nothing may stand in for the store; then the call is refused."""
        try:
            return await self._asked(call, self._claims.ask(call.exchange, partial(ask_first, call), key_of(call)))
        except StoreUnavailable:
            # It may have been taken all the same. Where a sidecar before us has it, that one will say how it ended.
            if not call.exchange.lineage.was_seen_by_caller:
                self._keeper.owes(partial(forget, call, self._claims.shared))
            raise

    async def wait(self, call: Call, claims: Claims, claimed: Claimed) -> Claimed:
        """Look again until there is news or the time is over.

        Only the store that knows of the other call is asked: while it is away, nothing that stands in for it could tell
        that the other has ended.
        """
        pause_s, longest_s = PAUSE_S
        was_away = False
        while claimed.standing is Standing.IN_FLIGHT:
            left_s = (call.until_ns - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                break
            await self._flights.pause(call.identity.key, pause_s, left_s)
            pause_s = min(pause_s * 2, longest_s)
            try:
                _, claimed, _ = await self._asked(call, ask_again(call, claims, pause_s))
            except StoreUnavailable:
                was_away = True
        if claimed.standing is Standing.IN_FLIGHT and was_away:
            self._keeper.owes(partial(forget, call, claims))
        # Ours already: it was given to us by an answer that was lost.
        return claimed._replace(standing=Standing.NEW) if claimed.standing is Standing.YOURS else claimed

    async def note_locally(self, call: Call, ending: Ending, recording: bytes | None) -> None:
        """The store has not heard how a call ended: what stands in for it meanwhile should know."""
        local = self._claims.local
        if local is None or ending is Ending.FREED or is_consistent(call.exchange):
            return
        claimed = await ask(call, local, 0.0)
        if claimed.standing is Standing.NEW:
            done = ending is Ending.DONE
            token, key = claimed.token, call.identity.key
            await (local.complete(key, token, recording) if done else local.doubt(key, token))

    async def _asked(self, call: Call, asking: Coroutine[Any, Any, Found]) -> Found:
        """The answer. The store is asked to the end, even where the caller leaves meanwhile."""
        rest = begun(asking)
        if isinstance(rest, Done):
            return rest.value  # a store in this process: nothing was waited for
        task = asyncio.ensure_future(rest)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._keeper.begin(partial(give_back, call, task))
            raise


def key_of(call: Call) -> Key:
    return "claim", call.identity.key, call.identity.payload


async def ask_first(call: Call, claims: Claims) -> Found:
    """The claim, and a look at who asked for the same before: one round trip."""
    # Both are on their way before either is waited for.
    looking = begun(look_back(call, claims))
    if isinstance(looking, Done):
        return claims, await ask(call, claims, PAUSE_S[0]), looking.value
    try:
        return claims, await ask(call, claims, PAUSE_S[0]), await looking
    finally:
        looking.close()


async def look_back(call: Call, claims: Claims) -> Sighting | None:
    """For the diagnosis alone: a store that does not answer costs no more than that."""
    try:
        return await claims.sight(
            call.identity.arguments,
            mark=call.identity.mark,
            exchange=call.exchange.lineage.exchange_id,
            deadline_ms=int((call.exchange.arrival.remaining_s or 0.0) * 1000),
        )
    except StoreUnavailable:
        return None


async def ask_again(call: Call, claims: Claims, pause_s: float) -> Found:
    return claims, await ask(call, claims, pause_s), None


async def ask(call: Call, claims: Claims, pause_s: float) -> Claimed:
    return await claims.claim(
        call.identity.key,
        digest=call.identity.payload,
        holder=call.exchange.lineage.exchange_id,
        lease_s=LEASE_S,
        retain_s=call.terms.retain_s,
        wait_s=pause_s + WAIT_SLACK_S if call.until_ns else 0.0,
    )


async def give_back(call: Call, task: asyncio.Future[Found]) -> None:
    """Its caller left while the store was asked, so nothing was dispatched."""
    claims, claimed, _ = await task
    if claimed.standing is Standing.NEW:
        await claims.release(call.identity.key, claimed.token)


async def forget(call: Call, claims: Claims) -> None:
    """The store did not answer, and may have taken the claim all the same. The call did not run."""
    claimed = await ask(call, claims, 0.0)
    if claimed.standing in (Standing.NEW, Standing.YOURS):
        await claims.release(call.identity.key, claimed.token)
