"""The sink that appends records to a Redis stream: one for a fleet, in the order in which they came there.

An entry has the fields `record`, as it stands in the journal, `instance`, the process that wrote it, `kind`,
`conversation`, `caller` and `callee`. There is no chain: many write one stream. The stamps in the records sort them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from sidecar.telemetry.journal.record import Record, encoded
from sidecar.telemetry.journal.sink import Sink, SinkFailed

TIMEOUT_S: Final = 2.0


class RedisSink(Sink):
    """One stream, kept to about a length."""

    name = "redis"

    def __init__(
        self, url: str, *, stream: str, length: int, instance: str, options: Mapping[str, Any] | None = None
    ) -> None:
        """`options` are redis-py's, for TLS. Nothing is dialled yet."""
        self._stream = stream
        self._length = length
        self._instance = instance
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, **(options or {})
        )

    def write(self, records: Sequence[Record]) -> None:
        """In one transaction, so that a batch is there whole or not at all."""
        try:
            with self._redis.pipeline(transaction=True) as pipeline:
                for record in records:
                    fields: dict[Any, Any] = {
                        "record": encoded(record),
                        "instance": self._instance,
                        "kind": record.kind.value,
                        "conversation": record.about.conversation,
                        "caller": record.about.caller,
                        "callee": record.about.callee,
                    }
                    pipeline.xadd(self._stream, fields, maxlen=self._length, approximate=True)
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise SinkFailed(f"stream {self._stream}: {error}") from error

    def close(self) -> None:
        with suppress(RedisError, OSError):
            self._redis.close()
