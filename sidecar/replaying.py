"""Replaying for an operator: what the journal of this sidecar recorded, through the specs and checks of today.

It runs on a thread and a loop of its own, one at a time, so that no call waits for it. The specs are those of files and
the modes those of the configuration: what operators changed while we run is no part of it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from sidecar.admin.problem import Problem, Why, invalid
from sidecar.config import Config
from sidecar.engine.descriptors import Descriptors
from sidecar.errors import ConfigError
from sidecar.replay import Change, Rerun, recorded_exchanges, rerun
from sidecar.telemetry.journal import Filter, Reader
from sidecar.telemetry.journal.reading import UnreadableJournal
from sidecar.v1 import admin_pb2, common_pb2

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000


class Replaying:
    """The Replays port over one journal."""

    def __init__(
        self,
        config: Config,
        open_reader: Callable[[], Reader],
        descriptors: Callable[[], Descriptors],
        mask: Callable[[str], str],
    ) -> None:
        self._config = config
        self._open_reader = open_reader
        self._descriptors = descriptors
        self._mask = mask
        self._is_busy = False

    async def replay(self, request: Any) -> AsyncGenerator[admin_pb2.ReplayResult, None]:
        """Raises Problem."""
        wanted, limit = filter_in(request), limit_in(request)
        if self._is_busy:
            raise Problem(Why.BUSY, "another replay is under way", retry_delay_s=5.0)
        self._is_busy = True
        work = beside(partial(self._run, wanted, limit))
        work.add_done_callback(self._is_done)  # the thread goes on when the caller leaves
        try:
            result = await asyncio.shield(work)
        except (ConfigError, UnreadableJournal) as error:
            raise Problem(Why.NOT_ALLOWED, f"nothing can be replayed: {error}") from error
        for change in result.changes:
            yield admin_pb2.ReplayResult(difference=difference_of(change, self._mask))
        yield admin_pb2.ReplayResult(
            summary=admin_pb2.ReplaySummary(
                replayed=result.exchanges, differences=len(result.changes), without_content=result.without_content
            )
        )

    def _run(self, wanted: Filter, limit: int) -> Rerun:
        reader = self._open_reader()
        try:
            exchanges, steps, _ = recorded_exchanges(reader.entries(wanted), most=limit)
        finally:
            reader.close()
        return asyncio.run(rerun(self._config, steps, exchanges, self._descriptors()))

    def _is_done(self, work: asyncio.Future[Rerun]) -> None:
        self._is_busy = False
        if not work.cancelled():
            work.exception()  # told to the caller, if there still is one


def beside(work: Callable[[], Rerun]) -> asyncio.Future[Rerun]:
    """On a thread that ends with the process: unlike one of the loop's own, no stop waits for it."""
    loop = asyncio.get_running_loop()
    future = asyncio.wrap_future(done := concurrent.futures.Future[Rerun](), loop=loop)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            tell(partial(done.set_exception, error))
        else:
            tell(partial(done.set_result, result))

    def tell(say: Callable[[], None]) -> None:
        with suppress(RuntimeError, concurrent.futures.InvalidStateError):  # the loop has gone, or nobody waits
            say()

    threading.Thread(target=run, name="replay", daemon=True).start()
    return future


def filter_in(request: Any) -> Filter:
    since_ms, until_ms = request.since_unix_ms, request.until_unix_ms
    if not (request.conversation or since_ms or until_ms):
        raise invalid("conversation", "a conversation, or a time: nothing never means all")
    for name, at_ms in (("since_unix_ms", since_ms), ("until_unix_ms", until_ms)):
        if at_ms < 0:
            raise invalid(name, "milliseconds since the Unix epoch, 0 for no bound")
    return Filter(since_ms=since_ms or None, until_ms=until_ms or None, conversation=request.conversation)


def limit_in(request: Any) -> int:
    limit: int = request.limit
    if not 0 <= limit <= LIMIT_MAX:
        raise invalid("limit", f"1 to {LIMIT_MAX}, or 0 for {LIMIT}; found {limit}")
    return limit or LIMIT


def difference_of(change: Change, mask: Callable[[str], str]) -> admin_pb2.ReplayDifference:
    about, started = change.exchange.about, change.exchange.started
    check, _, rule = change.rule.partition("/")
    finding = admin_pb2.CheckFinding(check=check, rule=rule, message=mask(change.sentence))
    return admin_pb2.ReplayDifference(
        subject=admin_pb2.Subject(
            exchange_id=about.exchange_id,
            edge=common_pb2.Edge(caller=about.caller, callee=about.callee, method=about.method),
            side=about.side,
            route=about.route,
            lineage=common_pb2.Lineage(conversation=about.conversation, trace_id=about.trace_id, hops=about.hops),
        ),
        at_unix_ms=started.unix_ns // 1_000_000,
        was=change.before,
        would_be=change.after,
        findings=[finding] if change.rule.strip("/") else [],
    )
