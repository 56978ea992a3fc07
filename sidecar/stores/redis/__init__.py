"""State in Redis, which a fleet shares: each verb is one script and one round trip."""

from __future__ import annotations

from sidecar.engine.ports import StoreReporter
from sidecar.engine.state import Store
from sidecar.stores.redis.conversations import RedisConversations
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script
from sidecar.stores.redis.visits import RedisVisits

__all__ = ["RedisConversations", "RedisLink", "RedisVisits", "Script", "open_redis", "redis_store"]


def open_redis(url: str, reporter: StoreReporter | None = None) -> Store:
    """A store behind `url`. Nothing is connected before `start`."""
    return redis_store(RedisLink(url, reporter=reporter))


def redis_store(link: RedisLink) -> Store:
    """The domains behind one link."""
    return Store(
        kind="redis",
        conversations=RedisConversations(link),
        visits=RedisVisits(link),
        start=link.start,
        close=link.close,
    )
