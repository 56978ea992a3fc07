"""The link to Redis: verbs that are asked for together travel in one pipeline; one that is away is known to be away.

A verb waits at most the time-out. After a failure the link is away: verbs fail at once instead of each waiting for
itself, and a probe asks with growing pauses until Redis answers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from sidecar.engine.ports import StoreReporter
from sidecar.errors import StoreUnavailable
from sidecar.stores.redis.epoch import Epoch
from sidecar.stores.redis.script import Script

log = logging.getLogger(__name__)

KIND: Final = "redis"
PIPELINE_MAX: Final = 128
"""Verbs in one pipeline: more would make the first wait for the last."""
WAITING_MAX: Final = 10_000
"""Verbs that may wait for a pipeline. Past that the store counts as away."""
CONNECTIONS_MAX: Final = 8
PAUSE_S: Final = (0.05, 2.0)
"""The first pause before Redis is asked again, and the longest. Each is spread, so that no fleet returns at once."""
BEAT_S: Final = 1.0
"""How often a link that is well says so to Redis: what it remembers of that tells whether it lost writes."""

Value = str | int | float | bytes


@dataclass(frozen=True, slots=True)
class LinkTls:
    """PEM files for a `rediss://` URL. None: the public authorities, and no certificate of ours."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """As redis-py names them."""
        files = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
        return {name: str(path) for name, path in files.items() if path is not None}


@dataclass(slots=True, eq=False)
class Asked:
    """One verb on its way."""

    script: Script
    arguments: tuple[Value, ...]
    key_count: int
    answer: asyncio.Future[Any]


class RedisLink:
    """One Redis. Raises StoreUnavailable for whatever keeps it from answering, and RuntimeError for a broken script."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.5,
        reporter: StoreReporter | None = None,
        tls: LinkTls | None = None,
    ) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=CONNECTIONS_MAX + 1,  # one is the probe's: pipelines alone must not look like an absence
            retry=None,
            **(tls.options if tls else {}),
        )
        self._reporter = reporter
        self._epoch = Epoch(self._forgot)
        self.on_return: list[Callable[[], None]] = []
        """Called when Redis is back, before any verb is asked."""
        self._waiting: list[Asked] = []
        self._sending = 0
        self._has_turn = False
        self._background: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.is_away = False
        self.skew_ms = 0
        """Added to Redis' time: what a test says has passed."""

    async def start(self) -> None:
        """Begin to say that we are well. A Redis that is away is no reason not to start."""
        await self._probe()
        self._spawn(self._beat())

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Value] = ()) -> Any:
        """The script's answer, as redis-py gives it (bytes, ints, lists)."""
        if self.is_away or self._is_closed or len(self._waiting) >= WAITING_MAX:
            self._failed(script.name)
            raise StoreUnavailable("redis is away")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(script, (*keys, self.skew_ms, *arguments), len(keys), answer))
        self._take_turn()
        return await answer

    async def close(self) -> None:
        self._is_closed = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        with suppress(RedisError, OSError):
            await self._redis.aclose()

    # Pipelines. What is asked for in one turn of the event loop, by any number of calls, goes out together.

    def _take_turn(self) -> None:
        if not self._has_turn and self._sending < CONNECTIONS_MAX:
            self._has_turn = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._has_turn = False
        batch, self._waiting = self._waiting[:PIPELINE_MAX], self._waiting[PIPELINE_MAX:]
        if batch:
            self._sending += 1
            self._spawn(self._exchange(batch))

    async def _exchange(self, batch: list[Asked]) -> None:
        try:
            await self._ask(batch)
        except (TimeoutError, RedisError, OSError) as error:
            self._lost(batch, error)
        finally:
            self._sending -= 1
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(StoreUnavailable("redis was left", may_have_happened=True))
            if self._waiting:
                self._take_turn()

    async def _ask(self, batch: list[Asked]) -> None:
        answers = await self._pipelined(batch)
        unknown = [asked for asked, answer in zip(batch, answers, strict=True) if isinstance(answer, NoScriptError)]
        if unknown:
            for script in {asked.script for asked in unknown}:
                await self._redis.script_load(script.text)
            answers = [answer for answer in answers if not isinstance(answer, NoScriptError)]
            known = [asked for asked in batch if asked not in unknown]
            settle(known, answers)
            settle(unknown, await self._pipelined(unknown))
        else:
            settle(batch, answers)

    async def _pipelined(self, batch: list[Asked]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for asked in batch:
            pipeline.evalsha(asked.script.sha, asked.key_count, *asked.arguments)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _lost(self, batch: list[Asked], error: BaseException) -> None:
        for asked in batch:
            if not asked.answer.done():
                self._failed(asked.script.name)
                said = f"redis: {type(error).__name__}"
                asked.answer.set_exception(StoreUnavailable(said, may_have_happened=True))
        self._went_away(error)

    # Away and back.

    def _went_away(self, error: BaseException) -> None:
        if not self.is_away and not self._is_closed:
            self.is_away = True
            log.warning("redis is away: %s", error)
            if self._reporter is not None:
                self._reporter.store_left(KIND)
            self._spawn(self._await_return())

    async def _await_return(self) -> None:
        pause_s, longest_s = PAUSE_S
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - a spread, not a secret
            if await self._probe():
                return
            pause_s = min(pause_s * 2, longest_s)

    async def _probe(self) -> bool:
        """Whether Redis answers and takes writes."""
        try:
            await self._epoch.check(self._redis)
        except (TimeoutError, RedisError, OSError) as error:
            self._went_away(error)
            return False
        if self.is_away:
            self.is_away = False
            log.warning("redis is back")
            if self._reporter is not None:
                self._reporter.store_returned(KIND)
            for call in self.on_return:
                call()
        return True

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            if not self.is_away:
                await self._probe()

    def _failed(self, verb: str) -> None:
        if self._reporter is not None:
            self._reporter.verb_failed(KIND, verb)

    def _forgot(self, what: Literal["all", "last"]) -> None:
        log.error("redis has lost %s of what it acknowledged", "all" if what == "all" else "the last")
        if self._reporter is not None:
            self._reporter.store_forgot(KIND, what)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


AWAY_ERRORS = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
AWAY_PREFIXES = ("BUSY", "MISCONF", "NOREPLICAS")
"""How a Redis that answers says that it cannot serve: errors that redis-py has a class for, and those it has not."""


def says_away(error: RedisError) -> bool:
    if not isinstance(error, ResponseError):
        return True  # the connection's own
    return isinstance(error, AWAY_ERRORS) or str(error).startswith(AWAY_PREFIXES)


def settle(batch: Sequence[Asked], answers: Sequence[Any]) -> None:
    """Hand out the answers. A Redis that answers and cannot serve is as good as away."""
    for asked, answer in zip(batch, answers, strict=True):
        if isinstance(answer, RedisError) and says_away(answer):
            raise answer
        if asked.answer.done():
            continue  # its caller has left
        if isinstance(answer, Exception):
            asked.answer.set_exception(RuntimeError(f"script {asked.script.name}: {answer}"))
        else:
            asked.answer.set_result(answer)
