"""State in Redis, which a fleet shares: each verb is one script and one round trip."""

from __future__ import annotations

from sidecar.engine.ports import StoreReporter
from sidecar.engine.state import Store
from sidecar.stores.redis.claims import RedisClaims
from sidecar.stores.redis.controls import RedisControls
from sidecar.stores.redis.conversations import RedisConversations
from sidecar.stores.redis.ledger import RedisLedger
from sidecar.stores.redis.link import LinkTls, RedisLink
from sidecar.stores.redis.pressure import RedisPressure
from sidecar.stores.redis.script import Script
from sidecar.stores.redis.tasks import RedisTasks
from sidecar.stores.redis.versions import RedisVersions
from sidecar.stores.redis.visits import RedisVisits

__all__ = [
    "LinkTls",
    "RedisClaims",
    "RedisControls",
    "RedisConversations",
    "RedisLedger",
    "RedisLink",
    "RedisPressure",
    "RedisTasks",
    "RedisVersions",
    "RedisVisits",
    "Script",
    "open_redis",
    "redis_store",
]


def open_redis(url: str, reporter: StoreReporter | None = None, tls: LinkTls | None = None) -> Store:
    """A store behind `url`. Nothing is connected before `start`."""
    return redis_store(RedisLink(url, reporter=reporter, tls=tls))


def redis_store(link: RedisLink) -> Store:
    """The domains behind one link."""
    controls = RedisControls(link)

    async def close() -> None:
        await controls.close()
        await link.close()

    return Store(
        kind="redis",
        claims=RedisClaims(link),
        controls=controls,
        conversations=RedisConversations(link),
        ledger=RedisLedger(link),
        pressure=RedisPressure(link),
        tasks=RedisTasks(link),
        versions=RedisVersions(link),
        visits=RedisVisits(link),
        start=link.start,
        close=close,
        on_return=link.on_return.append,
        is_worth_asking_ahead=lambda: not link.is_away,
    )
