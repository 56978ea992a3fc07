"""Claims under any sequence of verbs: every store does what a plain model does, and no key is ever held twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis

from sidecar.engine.state.claims import Standing
from tests.stores.places import Place, in_file, in_memory, in_redis

KEYS, HOLDERS, DIGESTS = ("k1", "k1", "k1", "k2"), ("one", "two", "three"), ("d", "d", "d", "other")
LEASE_S, RETAIN_S = 10.5, 60.5
"""Between whole seconds: time passes in these, and a real Redis adds milliseconds of its own."""


@dataclass
class Held:
    holder: str
    digest: str
    token: int
    lease_s: float
    expires_s: float
    state: str = "held"
    recording: bytes | None = None


class ClaimsMachine(RuleBasedStateMachine):
    """Tokens of every claim ever made are tried, so stale ones too."""

    def __init__(self, open_place: Callable[[], Place]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = self.run(opened(open_place))
        self.now_s = 0.0
        self.model: dict[str, Held] = {}
        self.tokens: list[tuple[str, int]] = []

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def current(self, key: str) -> Held | None:
        held = self.model.get(key)
        return held if held and self.now_s < held.expires_s and held.state != "free" else None

    def fenced(self, key: str, token: int) -> Held | None:
        held = self.model.get(key)
        return held if held and held.token == token and self.now_s < held.expires_s else None

    @rule(key=st.sampled_from(KEYS), holder=st.sampled_from(HOLDERS), digest=st.sampled_from(DIGESTS))
    def claim(self, key: str, holder: str, digest: str) -> None:
        found = self.run(
            self.place.store.claims.claim(key, digest=digest, holder=holder, lease_s=LEASE_S, retain_s=RETAIN_S)
        )
        held = self.current(key)
        if held is None:
            assert found.standing is Standing.NEW
            assert all(found.token > token for known, token in self.tokens if known == key)
            lease_s = self.now_s + LEASE_S
            self.model[key] = Held(holder, digest, found.token, lease_s, lease_s + RETAIN_S)
            self.tokens.append((key, found.token))
        elif held.holder == holder:
            assert (found.standing, found.token) == (Standing.YOURS, held.token)
        else:
            assert found.standing is self.expected(held, digest)
            assert found.recording == (held.recording if found.standing is Standing.RECORDED else None)

    def expected(self, held: Held, digest: str) -> Standing:
        if held.digest != digest:
            return Standing.CONFLICT
        if held.state == "done":
            return Standing.RECORDED
        is_lost = held.state == "doubt" or self.now_s >= held.lease_s
        return Standing.UNKNOWN if is_lost else Standing.IN_FLIGHT

    @rule(data=st.data(), recording=st.sampled_from([b"", b"answer", None]))
    def complete(self, data: Any, recording: bytes | None) -> None:
        for key, token in self.some(data):
            held = self.fenced(key, token)
            is_due = held is not None and held.state != "free"
            assert self.run(self.place.store.claims.complete(key, token, recording)) is is_due
            if held and is_due and held.state != "done":
                held.state, held.recording, held.expires_s = "done", recording, self.now_s + RETAIN_S

    @rule(data=st.data())
    def release(self, data: Any) -> None:
        for key, token in self.some(data):
            held = self.fenced(key, token)
            is_due = held is not None and held.state in ("held", "free")
            assert self.run(self.place.store.claims.release(key, token)) is is_due
            if held and is_due:
                held.state, held.expires_s = "free", self.now_s + 60.5

    @rule(data=st.data())
    def doubt(self, data: Any) -> None:
        for key, token in self.some(data):
            held = self.fenced(key, token)
            is_due = held is not None and held.state in ("held", "doubt")
            assert self.run(self.place.store.claims.doubt(key, token)) is is_due
            if held and is_due and held.state == "held":
                held.state, held.expires_s = "doubt", self.now_s + RETAIN_S

    @rule(data=st.data())
    def extend(self, data: Any) -> None:
        for key, token in self.some(data):
            held = self.fenced(key, token)
            is_due = held is not None and held.state == "held"
            assert self.run(self.place.store.claims.extend(key, token, LEASE_S)) == (0 if is_due else None)
            if held and is_due:
                held.lease_s = self.now_s + LEASE_S
                held.expires_s = held.lease_s + RETAIN_S

    @rule(seconds=st.sampled_from([1, 10, 11, 40, 100]))
    def pass_time(self, seconds: int) -> None:
        # Never to where a released claim forgets its token: real milliseconds would decide.
        self.place.advance(seconds)
        self.now_s += seconds

    def some(self, data: Any) -> list[tuple[str, int]]:
        return [data.draw(st.sampled_from(self.tokens))] if self.tokens else []

    @invariant()
    def one_token_is_current(self) -> None:
        """What the rest relies on: a key has one holder."""
        for key in set(KEYS):
            tokens = {token for known, token in self.tokens if known == key}
            assert sum(self.fenced(key, token) is not None for token in tokens) <= 1

    def teardown(self) -> None:
        self.run(self.place.store.close())
        self.runner.close()


async def opened(open_place: Callable[[], Place]) -> Place:
    return open_place()


@pytest.mark.parametrize("where", ["memory", "sqlite", "redis"])
def test_claims_follow_the_model(where: str, request: pytest.FixtureRequest, tmp_path: Path):
    """Any verbs, in any order, with any token, while time passes."""
    numbers = iter(range(1_000_000))

    def open_place() -> Place:
        if where == "memory":
            return in_memory()
        if where == "sqlite":
            return in_file(tmp_path / f"{next(numbers)}.db")
        url = request.getfixturevalue("redis_url")
        with Redis.from_url(url) as redis:
            redis.flushall()
        return in_redis(url)

    run_state_machine_as_test(
        lambda: ClaimsMachine(open_place),
        settings=settings(
            max_examples=300 if where == "memory" else 50,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
