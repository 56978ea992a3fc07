"""`place` and `store`: each test that asks for one runs in memory, in a file and in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from sidecar.engine.state import Store
from tests.stores.places import Place, RedisServer, in_file, in_memory, in_redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    return redis_server.url


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "memory":
        made = in_memory()
    elif request.param == "sqlite":
        made = in_file(tmp_path / "state.db")
    else:
        made = in_redis(request.getfixturevalue("redis_url"))
    yield made
    await made.store.close()


@pytest.fixture
def store(place: Place) -> Store:
    return place.store
