"""Controls: what every store promises, and what a board makes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.engine.state import Board, Store
from sidecar.engine.state.controls import CONTROLS_MAX, SPECS_MAX, Control, Controls, Kind, Name, State, names_in, pair
from sidecar.errors import StoreFull
from sidecar.stores.memory import open_memory
from sidecar.stores.redis import RedisLink, redis_store
from sidecar.system import SystemClock
from sidecar.testing import ManualClock
from tests.stores.places import Place, RedisServer, in_redis

EDGE = Name(Kind.EDGE, pair("planner", "writer|x", "/a.B/C"))
AGENT = Name(Kind.AGENT, "wri\u00e9ter")
WITHIN_S = 5.0


def control(name: Name = AGENT, **more: object) -> Control:
    fields: dict[str, object] = {
        "who": "token ops",
        "because": "it \u201clies\u201d",
        "at_ms": 1_700_000_000_123,
        **more,
    }
    return Control(name, **fields)  # type: ignore[arg-type]


async def held(store: Store) -> dict[Name, Control]:
    state = await store.controls.read(-1)
    assert state is not None
    return {each.name: each for each in state.controls}


async def test_what_is_put_holds_with_every_field(store: Store):
    """Until it is removed, whatever is in its words."""
    made = control(EDGE, value="x" * 3000, spares_open=True, is_automatic=True)
    await store.controls.put(made)
    await store.controls.put(control())
    assert await held(store) == {EDGE: made, AGENT: control()}
    await store.controls.remove(AGENT)
    assert await held(store) == {EDGE: made}
    assert names_in(EDGE.key) == ("planner", "writer|x", "/a.B/C")


async def test_the_revision_grows_with_every_change_and_only_then(store: Store):
    """A copy at the newest revision has nothing to read."""
    state = await store.controls.read(-1)
    assert state is not None
    assert state.controls == ()
    first = await store.controls.put(control())
    assert first > state.revision
    assert await store.controls.read(first) is None
    assert await store.controls.remove(EDGE) == first
    second = await store.controls.remove(AGENT)
    assert second > first
    news = await store.controls.read(first)
    assert news is not None
    assert news.revision == second


async def test_a_control_ends_by_itself(place: Place):
    """A millisecond before its end it holds; what was put for good does not end."""
    await place.store.controls.put(control(), 10)
    await place.store.controls.put(control(EDGE))
    place.advance(9.9)
    assert set(await held(place.store)) == {AGENT, EDGE}
    state = await place.store.controls.read(-1)
    assert state is not None
    ends_ms = next(each.until_ms for each in state.controls if each.name == AGENT)
    assert 0 < ends_ms - state.now_ms <= 200
    place.advance(0.2)
    assert set(await held(place.store)) == {EDGE}


async def test_the_newer_word_holds(store: Store):
    """And an automatic one never takes the place of a person's."""
    await store.controls.put(control(is_automatic=True), 10)
    await store.controls.put(control(because="second"))
    revision = await store.controls.put(control(because="third", is_automatic=True), 10)
    assert (await held(store))[AGENT] == control(because="second")
    assert await store.controls.read(revision) is None


async def test_an_automatic_control_may_follow_a_persons_that_has_ended(place: Place):
    """What has ended stands in nobody's way."""
    await place.store.controls.put(control(), 10)
    place.advance(11)
    await place.store.controls.put(control(because="later", is_automatic=True))
    assert (await held(place.store))[AGENT].because == "later"


@pytest.mark.parametrize("kind", [Kind.SPEC, Kind.CONVERSATION])
async def test_there_is_room_for_so_many_of_a_kind(place: Place, kind: Kind):
    """One more is refused, in place of another it is not, and what ends makes room."""
    for number in range(kind.most):
        await place.store.controls.put(control(Name(kind, f"{number}")), 100 if number == 0 else None)
    with pytest.raises(StoreFull):
        await place.store.controls.put(control(Name(kind, "one more")))
    await place.store.controls.put(control(Name(kind, "7"), because="again"))
    await place.store.controls.put(control(Name(Kind.AGENT, "of another kind")))
    place.advance(101)
    await place.store.controls.put(control(Name(kind, "one more")))
    assert len(await held(place.store)) == {Kind.SPEC: SPECS_MAX, Kind.CONVERSATION: CONTROLS_MAX}[kind] + 1


async def test_a_store_that_is_behind_is_told_again(store: Store):
    """Once: whoever comes later is no longer ahead of it."""
    revision = await store.controls.put(control())
    await store.controls.restore(revision, [(control(EDGE), None)])
    assert set(await held(store)) == {AGENT}
    await store.controls.restore(revision + 5, [(control(EDGE), 10.0)])
    state = await store.controls.read(-1)
    assert state is not None
    assert state.revision > revision + 5
    assert {each.name for each in state.controls} == {AGENT, EDGE}


async def test_controls_outlive_the_process(place: Place):
    """In a file and in Redis; memory is gone with its process."""
    if place.again is None:
        pytest.skip("memory is gone with its process")
    await place.store.controls.put(control(EDGE), 60)
    again = place.again()
    try:
        assert set(await held(again)) == {EDGE}
    finally:
        await again.close()


# --- the board -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watched(store: Store, clock: SystemClock | ManualClock | None = None) -> AsyncIterator[Board]:
    board = Board(store.controls, clock or SystemClock(), store.kind)
    await board.start()
    watching = asyncio.create_task(board.watch())
    try:
        yield board
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def until(is_so: object) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_what_one_board_changes_the_other_hears_of(place: Place):
    """By itself, and a release as well; nobody asks for it."""
    other = place.again() if place.again else place.store
    async with watched(place.store) as one, watched(other) as two:
        heard: list[int] = []
        two.on_change(lambda: heard.append(1))
        one.put(control())
        assert one.at(AGENT) is not None
        await until(lambda: two.at(AGENT) is not None)
        assert one.quarantined() == {"agent": 1, "edge": 0, "conversation": 0, "task": 0}
        assert heard
        assert two.remove(AGENT)
        await until(lambda: one.at(AGENT) is None)
        assert not one.remove(AGENT)
    if other is not place.store:
        await other.close()


async def test_a_change_says_how_far_it_reaches(store: Store):
    """As far as the store does, once that was told."""
    async with watched(store) as board:
        board.put(control())
        reach = await board.told(AGENT)
        assert reach == {"memory": "process", "sqlite": "machine", "redis": "fleet"}[store.kind]
        await until(lambda: board.untold == 0)
        standing = board.at(AGENT)
        assert standing is not None
        assert not standing.is_local


async def test_a_board_knows_what_was_changed_before_it_began(place: Place):
    """Before the first call."""
    await place.store.controls.put(control())
    board = Board(place.store.controls, SystemClock(), place.store.kind)
    await board.start()
    assert board.at(AGENT) is not None


async def test_a_board_lets_go_when_the_time_is_over(place: Place):
    """On its own clock; it does not wait to be told."""
    clock = ManualClock()
    board = Board(place.store.controls, clock, place.store.kind)
    board.put(control(), 10)
    clock.advance(9)
    assert board.at(AGENT) is not None
    clock.advance(1)
    assert board.at(AGENT) is None
    assert board.quarantined()["agent"] == 0
    assert board.of(Kind.AGENT) == []


async def test_an_automatic_change_leaves_a_persons_alone(store: Store):
    """And may not shorten it."""
    board = Board(store.controls, SystemClock(), store.kind)
    board.put(control(because="mine"))
    assert board.put(control(because="yours", is_automatic=True), 1).control.because == "mine"


async def test_a_board_has_room_for_so_many(store: Store):
    """It says so at once, whatever the store would say."""
    board = Board(store.controls, SystemClock(), store.kind)
    for number in range(SPECS_MAX):
        board.put(control(Name(Kind.SPEC, f"{number}")))
    with pytest.raises(StoreFull):
        board.put(control(Name(Kind.SPEC, "one more")))


async def test_a_board_goes_on_while_redis_is_away_and_catches_up(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What it knew holds, what it changes holds here, and when Redis is back both boards agree."""
    caplog.set_level(logging.INFO)
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always").start()
    stores = [redis_store(RedisLink(server.url)) for _ in range(2)]
    for each in stores:
        await each.start()
    async with watched(stores[0]) as one, watched(stores[1]) as two:
        one.put(control())
        await until(lambda: two.at(AGENT) is not None)
        await asyncio.to_thread(server.kill)
        one.put(control(EDGE))
        assert await one.told(EDGE, 1.0) == "process until the store returns"
        assert one.untold == 1
        two.remove(AGENT)
        await until(lambda: one.is_away and two.is_away)
        assert one.at(AGENT) is not None
        assert two.at(EDGE) is None
        await asyncio.to_thread(server.start)
        await until(lambda: two.at(EDGE) is not None and one.at(AGENT) is None)
        await until(lambda: one.untold == 0 and not one.is_away)
    for each in stores:
        await each.close()
    server.stop()


async def test_a_redis_that_lost_everything_is_told_again(redis_server: RedisServer, redis_url: str):
    """An emptied store releases nobody."""
    place = in_redis(redis_url)
    async with watched(place.store) as board:
        board.put(control())
        board.put(control(EDGE), 600)
        await until(lambda: board.untold == 0 and board.revision >= 2)
        redis_server.flush()
        await until(lambda: board.revision > 2)
        assert board.at(AGENT) is not None
        assert set(await held(place.store)) == {AGENT, EDGE}
    await place.store.close()


async def test_where_nothing_can_be_heard_the_revision_is_asked_for(redis_server: RedisServer, redis_url: str):
    """A user who may not subscribe hears of a change all the same."""
    import redis as client

    with client.Redis.from_url(redis_url) as root:
        root.acl_setuser(
            "deaf", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"], reset_channels=True
        )
    stores = [redis_store(RedisLink(redis_url.replace("//", "//deaf:secret@"))) for _ in range(2)]
    async with watched(stores[0]) as one, watched(stores[1]) as two:
        one.put(control())
        await until(lambda: two.at(AGENT) is not None)
    for each in stores:
        await each.close()


class Garbled:
    """Controls that answer once with what nobody can use."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self.is_garbled = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._controls, name)

    async def read(self, known_revision: int) -> State | None:
        if self.is_garbled:
            self.is_garbled = False
            raise ValueError("neither rhyme nor reason")
        return await self._controls.read(known_revision)


async def test_a_board_outlives_an_answer_that_cannot_be_used(caplog: pytest.LogCaptureFixture):
    """What comes next may be an emergency, so it is still heard, and the log says what went wrong."""
    clock = SystemClock()
    store = open_memory(clock)
    board = Board(Garbled(store.controls), clock)  # type: ignore[arg-type]  # the rest is the store's own
    watching = asyncio.create_task(board.watch())
    await until(lambda: "cannot be used" in caplog.text)
    await store.controls.put(control())
    await until(lambda: board.at(AGENT) is not None)
    assert not watching.done()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_board_that_has_just_begun_can_be_stopped(redis_url: str):
    """At whatever step of its first subscription: a sidecar that is stopped as it starts must not wait for ever."""
    for turns in range(40):
        store = in_redis(redis_url).store
        await store.start()
        watching = asyncio.create_task(Board(store.controls, SystemClock(), store.kind).watch())
        for _ in range(turns):
            await asyncio.sleep(0)
        watching.cancel()
        done, _ = await asyncio.wait([watching], timeout=WITHIN_S)
        assert done, turns
        await store.close()


def test_a_control_of_a_later_version_is_passed_over():
    """It must not keep the others from being read."""
    from sidecar.engine.state.controls import read, written

    text = written(control())
    assert read("agent", AGENT.key, text, 0) == control()
    assert read("of another kind", "x", text, 0) is None
    assert read("agent", "x", '["fields", "that", "nobody", "knows", 1, 2, 3, 4]', 0) is None
    assert read("agent", "x", "{", 0) is None
    assert replace(control(), until_ms=5) == read("agent", AGENT.key, text, 5)
