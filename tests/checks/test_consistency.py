"""The consistency check: these reads and writes came in, and this is what was wrong with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks.consistency import ConsistencyCheck
from sidecar.checks.consistency.reading import RESOURCES_AT_ONCE
from sidecar.checks.consistency.token import token_of
from sidecar.engine.exchange import UNKNOWN_CALLER, Arrival, Exchange, Guarding, Mode, Route, Side, Status
from sidecar.engine.finding import Forward, Reject, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import Spec, SpecTable, compile_spec
from sidecar.engine.state import Reach, Versions
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import MemoryVersions, open_memory
from sidecar.testing import CountingIds, EveryTrace, ManualClock

GET, PUT = "/bank.Accounts/Get", "/bank.Accounts/Put"


class Counts:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.stale: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def read_was_stale(self, resource: str) -> None:
        self.stale[resource] += 1

    def update_was_lost(self, resource: str) -> None:
        self.lost[resource] += 1


class Away:
    """A store that is away."""

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        return fail


def specs(*, mode: str | None = None, read: Any = None, write: Any = None, **more: Any) -> list[Spec]:
    common = {"key": "$.account.id", "version": "$.account.version", "name": "account"}
    found = []
    for name, method, block in (("read/v1", GET, read or {}), ("write/v1", PUT, {"writes": True, **(write or {})})):
        data = {"spec": name, "match": {"method": method}, "resource": {**common, **block}, **more}
        found.append(compile_spec({**data, **({"mode": mode} if mode else {})}, base_uri="file:///bank.yaml"))
    return found


def account(version: Any = None, key: Any = 7, **more: Any) -> dict[str, Any]:
    return {"account": {"id": key, **({} if version is None else {"version": version}), **more}}


class Bank:
    """One engine with the consistency check alone, over a store in memory."""

    def __init__(self, *found: Spec, mode: Mode = Mode.ENFORCE, shared: Any = None, **route: Any) -> None:
        self.clock, self.counts, self.mode, self.route = ManualClock(), Counts(), mode, route
        store = open_memory(self.clock)
        self.fail_opens = 0
        reach: Reach[Versions] = Reach(shared or store.versions, MemoryVersions(self.clock), told=self._failed_open)
        check = ConsistencyCheck(reach, clock=self.clock, reporter=self.counts)
        lineage = LineageKeeper(clock=self.clock, ids=CountingIds(), sampler=EveryTrace(), store=store.conversations)
        table = SpecTable(list(found) or specs())
        self.engine = Engine(clock=self.clock, lineage=lineage, specs=table, checks=[check])

    def _failed_open(self) -> None:
        self.fail_opens += 1

    async def begin(self, method: str, request: Any, caller: str = "planner") -> Exchange:
        self.clock.advance(1)
        route = Route("inbound", Side.INBOUND, caller, "bank", self.mode, **self.route)
        exchange = await self.engine.start(Arrival(route, method))
        await self.engine.message(exchange, message(request, Direction.REQUEST))
        self.engine.stamp(exchange)
        return exchange

    async def answer(self, exchange: Exchange, response: Any, sequence: int = 0) -> Any:
        return await self.engine.message(exchange, message(response, Direction.RESPONSE, sequence))

    async def call(self, method: str, request: Any, response: Any, caller: str = "planner") -> Exchange:
        exchange = await self.begin(method, request, caller)
        if isinstance(exchange.decision, Forward):
            await self.answer(exchange, response)
        await self.engine.end(exchange, Status("OK"))
        return exchange

    async def read(self, version: Any, caller: str = "planner", **more: Any) -> list[str]:
        return rules(await self.call(GET, account(), account(version, **more), caller))

    async def write(self, base: Any, version: Any, caller: str = "planner") -> list[str]:
        return rules(await self.call(PUT, account(base), account(version), caller))


def message(document: Any, direction: Direction, sequence: int = 0) -> Message:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Message(direction, sequence, payload, None if payload == b"?" else JSON_CODEC)


def rules(exchange: Exchange) -> list[str]:
    return [finding.rule for finding in exchange.findings]


async def test_reads_and_writes_in_order_are_no_finding():
    """Read, change what was read, read again: the common case, by two agents in turn."""
    bank = Bank()
    for caller in ("planner", "editor"):
        assert await bank.read(1 if caller == "planner" else 2, caller) == []
        assert await bank.write(*((1, 2) if caller == "planner" else (2, 3)), caller) == []
        assert await bank.read(2 if caller == "planner" else 3, caller) == []
    assert (bank.counts.stale, bank.counts.lost) == ({}, {})


@pytest.mark.parametrize(("first", "how"), [("read", "seen"), ("write", "written")])
async def test_an_agent_that_is_given_less_than_it_knew_reads_stale(first: str, how: str):
    """A finding and never a refusal: an old answer is better than none."""
    bank = Bank()
    await (bank.read(3) if first == "read" else bank.write(2, 3))
    exchange = await bank.call(GET, account(), account(2))
    assert [(each.rule, each.severity, each.reason, each.message) for each in exchange.findings] == [
        ("stale-read", Severity.WARNING, None, f"read/v1: planner was given an older version than it has {how}")
    ]
    assert exchange.findings[0].evidence == {"resource": "account"}
    assert bank.counts.stale == {"account": 1}


async def test_what_another_agent_knew_is_no_promise():
    """Only the agent's own reads and writes are."""
    bank = Bank()
    await bank.write(2, 3, "editor")
    assert await bank.read(2, "planner") == []


async def test_a_read_that_was_overtaken_is_not_stale():
    """It began before the newer version was seen."""
    bank = Bank()
    slow = await bank.begin(GET, account())
    await bank.read(3)
    await bank.answer(slow, account(2))
    assert rules(slow) == []


async def test_a_read_right_after_the_write_is_held_to_it_without_any_slack():
    """Not a millisecond has passed, and the order is known all the same."""
    bank = Bank()
    bank.clock.advance = lambda _: None  # type: ignore[method-assign]  # time stands still
    await bank.write(2, 3)
    assert await bank.read(2) == ["stale-read"]


async def test_an_answer_without_the_key_in_its_request_is_held_to_the_clock():
    """Which resources a list will tell of nobody knows when it is asked for."""
    paths = {"key": "$.accounts[*].id", "version": "$.accounts[*].version"}
    bank = Bank(*specs(read=paths))
    slow = await bank.begin(GET, {})
    await bank.call(GET, {}, accounts(3))
    await bank.answer(slow, accounts(2))
    assert rules(slow) == []
    assert rules(await bank.call(GET, {}, accounts(2))) == ["stale-read"]


async def test_nothing_is_remembered_of_a_read_that_is_over():
    """What was known when it asked goes with the exchange."""
    bank = Bank()
    await bank.read(3)
    [hook] = [hook for hook in bank.engine._on_end if isinstance(hook.check, ConsistencyCheck)]
    assert hook.check._knew == {}  # type: ignore[attr-defined]  # a look inside


async def test_callers_that_nothing_names_are_not_held_to_what_they_saw():
    """They may be many, and one has not seen what another has."""
    bank = Bank()
    await bank.read(3, UNKNOWN_CALLER)
    assert await bank.read(2, UNKNOWN_CALLER) == []


async def test_a_write_on_an_overwritten_version_is_refused_before_it_goes_out():
    """The callee never sees it; the caller is told to read again."""
    bank = Bank()
    await bank.read(1, "planner")
    await bank.write(1, 2, "editor")
    exchange = await bank.begin(PUT, account(1), "planner")
    assert isinstance(exchange.decision, Reject)
    assert (exchange.decision.reason, exchange.decision.message) == (
        Reason.STALE_WRITE,
        "write/v1: the write is based on a version that editor has overwritten: read it again first",
    )
    assert bank.counts.lost == {"account": 1}
    assert await bank.write(2, 3, "planner") == []


async def test_an_observed_lost_update_is_told_once():
    """On its way out, and not again when it is answered."""
    bank = Bank(*specs(mode="observe"))
    await bank.write(1, 2, "editor")
    assert await bank.write(1, 3, "planner") == ["lost-update"]
    assert bank.counts.lost == {"account": 1}


async def test_a_write_that_overtook_another_is_told_when_it_is_answered():
    """Both went out on version 1. It has happened, so nothing is refused."""
    bank = Bank()
    await bank.read(1)
    slow = await bank.begin(PUT, account(1), "planner")
    await bank.write(1, 2, "editor")
    assert isinstance(await bank.answer(slow, account(3)), Forward)
    assert [(each.rule, each.reason, each.message) for each in slow.findings] == [
        (
            "lost-update",
            None,
            "write/v1: a write was taken whose base editor had overwritten meanwhile: one change is lost",
        )
    ]


async def test_a_write_that_tells_no_version_has_made_one_all_the_same():
    """Its base is overwritten from then on, whatever the new version is."""
    bank = Bank()
    await bank.read("a")
    await bank.call(PUT, account("a"), {}, "editor")
    exchange = await bank.begin(PUT, account("a"), "planner")
    assert isinstance(exchange.decision, Reject)
    assert await bank.read("b", "planner") == []
    assert await bank.write("b", "c", "planner") == []


async def test_a_write_that_names_no_base_is_not_judged_and_still_counts():
    """A blind write says nothing of what it undoes; others can be behind it."""
    bank = Bank()
    await bank.read(1)
    assert await bank.write(None, 2, "editor") == []
    exchange = await bank.begin(PUT, account(1), "planner")
    assert isinstance(exchange.decision, Reject)


async def test_a_base_that_nobody_has_seen_is_nobodys_to_judge():
    """We may not have been there."""
    bank = Bank()
    await bank.read("a")
    assert await bank.write("never-seen", "b") == []


async def test_a_write_that_failed_has_changed_nothing():
    """Its answer never came, so its base is still the newest."""
    bank = Bank()
    await bank.read(1)
    failed = await bank.begin(PUT, account(1), "editor")
    await bank.engine.end(failed, Status("ABORTED"))
    assert await bank.write(1, 2) == []


@pytest.mark.parametrize(("mode", "is_refused"), [(None, True), ("observe", False)])
async def test_only_the_owner_writes(mode: str | None, is_refused: bool):
    """Told from the headers alone, before a message is looked at; anybody may read."""
    bank = Bank(*specs(mode=mode, write={"owner": "billing"}))
    exchange = await bank.begin(PUT, b"?", "planner")
    assert isinstance(exchange.decision, Reject) is is_refused
    assert [(each.rule, each.reason, each.message) for each in exchange.findings] == [
        ("not-owner", Reason.NOT_OWNER, "write/v1: planner writes to what billing owns")
    ]
    assert await bank.write(1, 2, "billing") == []
    assert await bank.read(2, "planner") == []
    assert rules(await bank.begin(PUT, account(2), UNKNOWN_CALLER)) == ["not-owner"]


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        ({"account": {"id": 7}}, {"account": {"version": 2}}),
        ({"account": {"id": "7"}}, {"account": {"id": 7, "version": "2"}}),
        ({}, {"account": {"id": "7", "version": 2.0}}),
    ],
)
async def test_key_and_version_are_taken_from_whichever_document_has_them(request_: Any, response: Any):
    """A response without the key is about the one it was asked for; numbers may be texts."""
    bank = Bank()
    await bank.read(3)
    assert rules(await bank.call(GET, request_, response)) == ["stale-read"]


def accounts(*versions: int) -> dict[str, Any]:
    return {"accounts": [{"id": number, "version": version} for number, version in enumerate(versions)]}


async def test_each_resource_of_a_list_is_looked_at():
    """Keys and versions belong together by their order."""
    paths = {"key": "$.accounts[*].id", "version": "$.accounts[*].version"}
    bank = Bank(*specs(read=paths))
    await bank.call(GET, {}, accounts(3, 3, 3))
    assert rules(await bank.call(GET, {}, accounts(3, 2, 1))) == ["stale-read", "stale-read"]
    assert rules(await bank.call(GET, {}, {"accounts": [{"id": 0}, {"id": 1, "version": 1}]})) == []


@pytest.mark.parametrize("count", [RESOURCES_AT_ONCE, RESOURCES_AT_ONCE + 1])
async def test_a_list_is_looked_at_up_to_a_limit(count: int):
    """The rest of a long list goes by."""
    paths = {"key": "$.accounts[*].id", "version": "$.accounts[*].version"}
    bank = Bank(*specs(read=paths))
    await bank.call(GET, {}, accounts(*[3] * count))
    exchange = await bank.call(GET, {}, accounts(*[2] * count))
    assert len(exchange.findings) == RESOURCES_AT_ONCE


async def test_messages_of_a_stream_are_in_order():
    """A subscription that goes back is stale by itself."""
    bank = Bank()
    exchange = await bank.begin(GET, account())
    for sequence, version in enumerate((1, 2, 2, 1)):
        await bank.answer(exchange, account(version), sequence)
    assert rules(exchange) == ["stale-read"]


async def test_specs_without_a_shared_name_speak_of_resources_of_their_own():
    """The label is then the spec's name."""
    bank = Bank(
        *(
            compile_spec(
                {
                    "spec": f"{name}/v1",
                    "match": {"method": method},
                    "resource": {"key": "$.account.id", "version": "$.account.version"},
                },
                base_uri="file:///x.yaml",
            )
            for name, method in (("read", GET), ("other", PUT))
        )
    )
    await bank.read(3)
    assert await bank.write(1, 1) == []
    assert await bank.read(2) == ["stale-read"]
    assert bank.counts.stale == {"read/v1": 1}


async def test_where_another_sidecar_keeps_the_state_nothing_is_kept():
    """Ownership is the callee's sidecar's to judge as well."""
    bank = Bank(*specs(write={"owner": "billing"}), guarding=Guarding.NEVER)
    await bank.read(3)
    assert await bank.read(2) == []
    assert await bank.write(1, 2) == []


async def test_a_store_that_is_away_is_stood_in_for_or_refuses():
    """As the spec chose."""
    bank = Bank(shared=Away())
    await bank.read(3)
    assert await bank.read(2) == ["stale-read"]
    assert bank.fail_opens == 4
    exchange = await Bank(*specs(consistency="consistent"), shared=Away()).begin(PUT, account(1))
    assert isinstance(exchange.decision, Reject)
    assert exchange.decision.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize(
    "payload", [b"?", b"{", b"[]", b"7", b'{"account": 3}', b'{"account": {"id": true, "version": {}}}']
)
async def test_what_cannot_be_read_or_names_nothing_passes(payload: bytes):
    """Bytes of an unknown type, garbage, and documents of any other shape."""
    bank = Bank()
    for method in (GET, PUT):
        exchange = await bank.call(method, payload, payload)
        assert (isinstance(exchange.decision, Forward), rules(exchange)) == (True, [])


async def test_a_path_that_a_document_is_too_deep_for_finds_nothing():
    """`..` ends at 100 levels."""
    document: Any = {}
    for _ in range(150):
        document = {"c": document}
    bank = Bank(*specs(read={"key": "$..id"}))
    assert rules(await bank.call(GET, document, document)) == []


async def test_neither_keys_nor_versions_stand_in_findings():
    """They are payload."""
    bank = Bank()
    await bank.call(PUT, account("secret-1", "key-secret"), account("secret-2", "key-secret"), "editor")
    exchange = await bank.begin(PUT, account("secret-1", "key-secret"))
    assert rules(exchange) == ["lost-update"]
    assert "secret" not in repr(exchange.findings)


# Tokens.


@given(st.integers(), st.integers())
def test_numbers_compare_as_numbers(one: int, other: int):
    """Whatever their sign and length, and however they are written."""
    first, second = token_of(one), token_of(str(other))
    assert (first < second, first == second) == (one < other, one == other)


@given(st.integers(-(10**998), 10**998), st.integers(-(10**998), 10**998))
def test_long_numbers_compare_too(one: int, other: int):
    """Up to 999 digits; longer ones stand in order of sight."""
    assert (token_of(str(one)) < token_of(str(other))) is (one < other)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000001Z"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05Z"),
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        (9, 10),
        (-10, -9),
        (-1, 0),
        ("007", "8"),
    ],
)
def test_moments_and_numbers_compare_by_what_they_say(older: Any, newer: Any):
    """And not as texts."""
    assert token_of(older) < token_of(newer)
    assert token_of(older)[0] == token_of(newer)[0] != "o"


@pytest.mark.parametrize(("value", "kind"), [('"abc"', "o"), (1.5, "o"), ("v2", "o"), ("1" * 1000, "o"), ("", "o")])
def test_other_versions_are_equal_or_not(value: Any, kind: str):
    """An ETag has no order of its own."""
    assert token_of(value).startswith(kind)
    assert len(token_of(value)) == 33


@pytest.mark.parametrize("value", [None, True, [], {}])
def test_what_is_no_version_has_no_token(value: Any):
    """A flag or a structure."""
    assert token_of(value) == ""
