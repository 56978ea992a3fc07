"""A wire to Redis: one connection, on which questions of one turn of the event loop leave in one write.

Answers come in the order of the questions (RESP, "Request-Response protocol"), so nothing waits for a free connection
and no question overtakes another. hiredis, Redis' own client library in C, packs and parses.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from hiredis import Reader, ReplyError, pack_command

PORT: Final = 6379

GRACE_S: Final = 0.05
"""After its time-out a question waits this much longer, so that what has come is read first."""

Value = str | int | float | bytes

NOTHING_YET: Final = object()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a Redis is, and how it is entered."""

    host: str
    port: int = PORT
    database: int = 0
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"<Redis at {self.host}:{self.port}>"

    @property
    def greeting(self) -> list[tuple[Value, ...]]:
        """What is said first on each connection."""
        said: list[tuple[Value, ...]] = []
        if self.password:
            said.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.database:
            said.append(("SELECT", self.database))
        return said


def whereabouts_of(url: str, tls: Callable[[], ssl.SSLContext]) -> Whereabouts:
    """Of `redis://[user:password@]host[:port][/db]`, and `rediss://` with TLS."""
    parts = urlsplit(url)
    return Whereabouts(
        parts.hostname or "localhost",
        parts.port or PORT,
        int(parts.path.strip("/") or 0),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls() if parts.scheme == "rediss" else None,
    )


@dataclass(slots=True, eq=False)
class Asked:
    """One command on its way."""

    verb: str
    """For labels; empty for what serves no verb."""
    command: tuple[Any, ...]
    """Texts, bytes and numbers."""
    answer: asyncio.Future[Any]
    """Bytes, ints, lists and None; a ReplyError where Redis said no."""
    asked_s: float
    """Loop time."""


class Wire(asyncio.Protocol):
    """One connection, from its making to its loss. Who has it is told once of its end, and of what was not answered."""

    def __init__(self, lost: Callable[[Wire, BaseException], None], timeout_s: float) -> None:
        self._lost = lost
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(notEnoughData=NOTHING_YET)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._unsent: list[Asked] = []
        self.unanswered: deque[Asked] = deque()
        """In the order in which they were asked, those that are unsent included."""
        self.is_open = False

    def ask(self, verb: str, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The future answer; of a wire that is lost a ConnectionResetError."""
        asked = Asked(verb, command, self._loop.create_future(), self._loop.time())
        if not self.is_open:
            asked.answer.set_exception(ConnectionResetError("the connection was lost"))
            return asked.answer
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(asked)
        self.unanswered.append(asked)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)
        return asked.answer

    def close(self) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        batch, self._unsent = self._unsent, []
        if self.is_open and self._transport is not None:
            self._transport.write(b"".join([pack_command(asked.command) for asked in batch]))

    def _look(self) -> None:
        """One timer for all: it stays when everything was answered, since more is asked before it is due."""
        self._timer = None
        if not self.unanswered or not self.is_open:
            return
        left_s = self.unanswered[0].asked_s + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        elif not self._is_late:
            # Perhaps it is we who were held up, and the answer is there: read before giving up.
            self._is_late = True
            self._timer = self._loop.call_later(GRACE_S, self._look)
        else:
            self._end(TimeoutError())

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's by inheritance.
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        reader, unanswered = self._reader, self.unanswered
        self._is_late = False
        reader.feed(data)
        try:
            while (said := reader.gets()) is not NOTHING_YET:
                answer = unanswered.popleft().answer
                if not answer.done():
                    answer.set_result(said)
        except Exception as error:
            self._end(error)  # what Redis sends is no RESP, or more than was asked for

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionResetError("the connection was closed"))

    def _end(self, error: BaseException) -> None:
        if self.is_open:
            self.close()
            self._lost(self, error)


async def wired(where: Whereabouts, lost: Callable[[Wire, BaseException], None], timeout_s: float) -> Wire:
    """A wire that is greeted. Raises OSError, TimeoutError, and ReplyError where Redis does not let us in."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, wire = await loop.create_connection(
            lambda: Wire(lost, timeout_s),
            where.host,
            where.port,
            ssl=where.tls,
            server_hostname=where.host if where.tls else None,
        )
        try:
            for said in [wire.ask("", command) for command in where.greeting]:
                answer = await said
                if isinstance(answer, ReplyError):
                    raise answer
        except BaseException:
            wire.close()
            raise
    return wire
