"""The link to Redis: verbs that are asked for together travel together; one that is away is known to be away.

A verb waits at most the time-out. After a failure the link is away: verbs fail at once instead of each waiting for
itself, and a probe asks with growing pauses until Redis answers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from hiredis import HiredisError, ReplyError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from sidecar.engine.ports import StoreReporter
from sidecar.errors import StoreUnavailable
from sidecar.stores.redis.epoch import Epoch
from sidecar.stores.redis.script import SCRIPTS, Script
from sidecar.stores.redis.wire import Value, Wire, whereabouts_of, wired

log = logging.getLogger(__name__)

KIND: Final = "redis"
WAITING_MAX: Final = 10_000
"""Verbs that may wait for their answers. Past that the store counts as away."""
PAUSE_S: Final = (0.05, 2.0)
"""The first pause before Redis is asked again, and the longest. Each is spread, so that no fleet returns at once."""
BEAT_S: Final = 1.0
"""How often a link that is well says so to Redis: what it remembers of that tells whether it lost writes."""

FAILURES: Final = (OSError, TimeoutError, HiredisError)
"""What keeps Redis from answering, and its answer to whoever may not come in (a ReplyError is a HiredisError)."""


Told = TypeVar("Told")


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

    def context(self) -> ssl.SSLContext:
        """Raises OSError for a file that cannot be used."""
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        if self.cert is not None:
            context.load_cert_chain(str(self.cert), None if self.key is None else str(self.key))
        return context


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
        self._url = url
        self._tls = tls or LinkTls()
        self._timeout_s = timeout_s
        self._wire: Wire | None = None
        self._connecting: asyncio.Task[Wire] | None = None
        self._publishing: Redis | None = None
        """Where somebody listens to what is published."""
        self._reporter = reporter
        self._epoch = Epoch(self._forgot)
        self.on_return: list[Callable[[], None]] = []
        """Called when Redis is back, before any verb is asked."""
        self._background: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self.is_away = False
        self.skew_ms = 0
        """Added to Redis' time: what a test says has passed."""

    async def start(self) -> None:
        """Begin to say that we are well. A Redis that is away is no reason not to start."""
        await self._probe()
        self._spawn(self._beat())

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Value] = ()) -> Any:
        """The script's answer: bytes, ints, None and lists of them."""
        wire = self._wire
        if self.is_away or self._is_closed or (wire is not None and len(wire.unanswered) >= WAITING_MAX):
            self._failed(script.name)
            raise StoreUnavailable("redis is away")
        command = ("EVALSHA", script.sha, len(keys), *keys, self.skew_ms, *arguments)
        if wire is None or not wire.is_open:
            wire = await self._opened(script)
        answer = await heard(wire.ask(script.name, command))
        if isinstance(answer, ReplyError):
            answer = await self._refused(wire, script, command, answer)
        return answer

    def pubsub(self) -> PubSub:
        """To hear what is published, on a connection of its own. It raises what redis-py raises."""
        if self._publishing is None:
            timeout_s = self._timeout_s
            options = self._tls.options if self._url.startswith("rediss:") else {}
            self._publishing = Redis.from_url(
                self._url, retry=None, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, **options
            )
        return self._publishing.pubsub()

    async def close(self) -> None:
        self._is_closed = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._wire is not None:
            self._drop(self._wire, StoreUnavailable("redis was left", may_have_happened=True))
        if self._publishing is not None:
            with suppress(RedisError, OSError):
                await self._publishing.aclose()

    # The connection. It is made anew where it broke while nothing was asked; else Redis is away.

    async def _opened(self, script: Script) -> Wire:
        """For a verb that finds no connection."""
        try:
            return await self._connected()
        except asyncio.CancelledError:
            if not self._is_closed:
                raise
            raise StoreUnavailable("redis was left") from None
        except FAILURES as error:
            self._failed(script.name)
            self._went_away(error)
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error

    async def _connected(self) -> Wire:
        """The connection that is open; whoever finds none waits for the same new one."""
        if self._wire is not None and self._wire.is_open:
            return self._wire
        if self._connecting is None or self._connecting.done():
            self._connecting = self._spawn(self._connect())
            self._connecting.add_done_callback(unheard)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Wire:
        wire = await wired(whereabouts_of(self._url, self._tls.context), self._lost, self._timeout_s)
        for script in SCRIPTS:
            teach(wire, script)
        self._wire = wire
        return wire

    async def _refused(self, wire: Wire, script: Script, command: tuple[Value, ...], error: ReplyError) -> Any:
        """What Redis says instead of running a script. Its answer, where it only had to be taught the script again."""
        said = str(error)
        if said.startswith("NOSCRIPT") and wire.is_open:
            teach(wire, script)
            answer = await heard(wire.ask(script.name, command))
            if not isinstance(answer, ReplyError):
                return answer
            said = str(answer)
        if not said.startswith(AWAY_PREFIXES):
            raise RuntimeError(f"script {script.name}: {said}")
        self._failed(script.name)
        self._lost(wire, error)
        raise StoreUnavailable(f"redis: {said.split()[0]}", may_have_happened=True)

    def _lost(self, wire: Wire, error: BaseException) -> None:
        """The connection is gone, or of no use."""
        is_idle = not wire.unanswered and not isinstance(error, ReplyError)
        for each in wire.unanswered:
            if not each.answer.done():
                self._failed(each.verb)
        self._drop(wire, StoreUnavailable(f"redis: {type(error).__name__}", may_have_happened=True))
        if not is_idle:
            self._went_away(error)

    def _drop(self, wire: Wire, why: StoreUnavailable) -> None:
        """Nobody waits for it any longer."""
        wire.close()
        if self._wire is wire:
            self._wire = None
        for each in wire.unanswered:
            if not each.answer.done():
                each.answer.set_exception(why)
        wire.unanswered.clear()

    # Away and back.

    def _went_away(self, error: BaseException) -> None:
        if not self.is_away and not self._is_closed:
            self.is_away = True
            log.warning("redis is away: %s", str(error) or type(error).__name__)
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
            wire = await self._connected()
            await self._epoch.check(lambda *command: heard(wire.ask("", command)))
        except (*FAILURES, StoreUnavailable) as error:
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
        if self._reporter is not None and verb:
            self._reporter.verb_failed(KIND, verb)

    def _forgot(self, what: Literal["all", "last"]) -> None:
        log.error("redis has lost %s of what it acknowledged", "all" if what == "all" else "the last")
        if self._reporter is not None:
            self._reporter.store_forgot(KIND, what)

    def _spawn(self, work: Coroutine[Any, Any, Told]) -> asyncio.Task[Told]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def teach(wire: Wire, script: Script) -> None:
    """The verbs that come after it on this wire may use it. Where Redis does not take it, they say so."""
    wire.ask("", ("SCRIPT", "LOAD", script.text)).add_done_callback(unheard)


def unheard(answer: asyncio.Future[Any]) -> None:
    """Nobody waits for it, so its failure is no news."""
    if not answer.cancelled():
        answer.exception()


async def heard(answer: asyncio.Future[Any]) -> Any:
    """What Redis says. Raises StoreUnavailable where it says nothing."""
    try:
        return await answer
    except ConnectionResetError as lost:
        raise StoreUnavailable(f"redis: {lost}") from lost
    except GeneratorExit:
        # Asked ahead, and nobody came to fetch it: neither the answer nor a failure is news to anybody.
        if not answer.cancel():
            unheard(answer)
        raise


AWAY_PREFIXES: Final = (
    *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOREPLICAS", "OOM", "READONLY"),
    *("TRYAGAIN", "WRONGPASS", "ERR max number of clients"),
)
"""How a Redis that answers says that it cannot serve."""
