"""No interleaving of reserve, settle, void, charge, crash and expiry breaks the sums, in any store.

The model knows, for each charge, what it did to its purses; every store must say the same sums after every step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from sidecar.engine.state.ledger import LEASE_S, Draw, Hold, Purse
from tests.stores.places import Place, in_file, in_memory, in_redis

PURSES = (Purse("all", ""), Purse("agent", "writer"), Purse("conversation", "c", keep_s=10 * 86_400))
LIMIT = 1_000
IDS = st.integers(0, 7).map("call-{}".format)
AMOUNTS = st.integers(0, 600)
CHOSEN = st.sets(st.integers(0, 2), min_size=1).map(sorted)


@dataclass
class Known:
    """One charge as the model has it."""

    amount: int
    purses: list[int]
    state: str = "held"
    held_at: float = 0.0


@dataclass
class Model:
    now: float = 0.0
    charges: dict[str, Known] = field(default_factory=dict)

    def sums(self, purse: int) -> tuple[int, int]:
        drawn = [charge for charge in self.charges.values() if purse in charge.purses]
        spent = sum(charge.amount for charge in drawn if charge.state != "held")
        return spent, sum(charge.amount for charge in drawn if charge.state == "held")

    def lapse(self) -> None:
        for charge in self.charges.values():
            if charge.state == "held" and charge.held_at + LEASE_S < self.now:
                charge.state = "lapsed"


class LedgerMachine(RuleBasedStateMachine):
    """Two processes share one ledger, where it can be shared."""

    open_place: Callable[[], Place]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.place = self.run(self.opened())
        self.stores = [self.place.store]
        self.model = Model()

    async def opened(self) -> Place:
        return type(self).open_place()

    def run(self, verb: Any) -> Any:
        return self.loop.run_until_complete(verb)

    def teardown(self) -> None:
        for store in self.stores:
            self.run(store.close())
        self.loop.close()

    @property
    def ledger(self) -> Any:
        return self.stores[-1].ledger

    @rule(charge_id=IDS, amount=AMOUNTS, chosen=CHOSEN, binds=st.booleans(), share=st.sampled_from([0, 50]))
    def reserve(self, charge_id: str, amount: int, chosen: list[int], binds: bool, share: int) -> None:
        holds = [Hold(PURSES[index], LIMIT, binds) for index in chosen]
        lefts = [LIMIT - sum(self.model.sums(index)) for index in chosen]
        answer = self.run(self.ledger.reserve(charge_id, amount, holds, share_percent=share))
        self.model.lapse()
        known = self.model.charges.get(charge_id)
        assert answer.is_new == (known is None)
        if known is None:
            short = [place for place, left in enumerate(lefts) if binds and left < amount]
            assert answer.refused_by == (short[0] if short else None)
            if not short:
                held = max(amount, min(lefts) * share // 100 if binds else 0)
                assert answer.held_micro_usd == held
                self.model.charges[charge_id] = Known(held, chosen, held_at=self.model.now)
        for index, balance in zip(chosen, answer.balances, strict=True):
            assert (balance.spent_micro_usd, balance.held_micro_usd) == self.model.sums(index)

    @rule(charge_id=IDS, amount=AMOUNTS)
    def settle(self, charge_id: str, amount: int) -> None:
        assert self.run(self.ledger.settle(charge_id, amount)) == self.finished(charge_id, amount)

    @rule(charge_id=IDS)
    def void(self, charge_id: str) -> None:
        self.run(self.ledger.void(charge_id))
        self.finished(charge_id, 0)

    @rule(charge_id=IDS)
    def withdraw(self, charge_id: str) -> None:
        answer = self.run(self.ledger.withdraw(charge_id))
        self.model.lapse()
        known = self.model.charges.get(charge_id)
        assert answer == (known is not None and known.state == "held")
        if answer:
            del self.model.charges[charge_id]

    @rule(charge_id=IDS, amount=AMOUNTS, chosen=CHOSEN)
    def charge(self, charge_id: str, amount: int, chosen: list[int]) -> None:
        answer = self.run(self.ledger.charge(charge_id, [Draw(PURSES[index], 0) for index in chosen], amount))
        self.model.lapse()
        if charge_id not in self.model.charges:
            self.model.charges[charge_id] = Known(amount, chosen, "done")
            assert answer
        else:
            assert answer == self.finished(charge_id, amount)

    @rule(seconds=st.sampled_from([1.0, LEASE_S * 0.4, LEASE_S + 5]))
    def time_passes(self, seconds: float) -> None:
        """Never exactly a lease: Redis measures the time that really passes as well."""
        if self.model.now + seconds < 3_000:  # finished charges are remembered for an hour; ids here come again
            self.place.advance(seconds)
            self.model.now += seconds

    @precondition(lambda self: self.place.again is not None and len(self.stores) < 4)
    @rule()
    def crash_and_come_back(self) -> None:
        """A new process; the old one never says goodbye."""
        self.stores.append(self.run(self.again()))

    async def again(self) -> Any:
        assert self.place.again is not None
        return self.place.again()

    @invariant()
    def sums_are_right(self) -> None:
        for index, balance in enumerate(self.run(self.ledger.balances([Hold(each, LIMIT) for each in PURSES]))):
            spent, held = self.model.sums(index)
            assert balance.used_micro_usd == spent + held

    def finished(self, charge_id: str, amount: int) -> bool:
        self.model.lapse()
        known = self.model.charges.get(charge_id)
        if known is None or known.state == "done":
            return False
        known.amount, known.state = amount, "done"
        return True


@pytest.fixture(params=["memory", "sqlite", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Place]]:
    names = iter(range(1_000_000))

    def in_empty_redis() -> Place:
        with Redis.from_url(url) as redis:
            redis.flushall()
        return in_redis(url)

    if request.param == "memory":
        yield in_memory
    elif request.param == "sqlite":
        yield lambda: in_file(tmp_path / f"{next(names)}.db")
    else:
        url = request.getfixturevalue("redis_url")
        yield in_empty_redis


def test_no_interleaving_breaks_the_sums(opener: Callable[[], Place], request: pytest.FixtureRequest):
    """Reserve, settle, void, charge, a crash and the end of leases, in every order that Hypothesis finds."""
    machine = type("Machine", (LedgerMachine,), {"open_place": staticmethod(opener)})
    quick = settings(
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(machine, settings=quick)
