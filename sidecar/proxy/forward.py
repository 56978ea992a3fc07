"""The story of one call: it arrives, the engine looks at it, it is dispatched, messages pass, it ends.

Three ways through, by what the descriptors say of the method: one request and one response (cheap), one request and a
stream of responses, and streams both ways, which carries every method, known or not. Whatever happens, the engine hears
of the end exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from grpc import aio
from grpc._cython import cygrpc

from sidecar.engine.message import Direction, Message
from sidecar.errors import REPLY_TRAILER, Reason, UpstreamError
from sidecar.proxy.detached import ALONE_MAX_S, LOOK_EVERY_S
from sidecar.proxy.passage import MethodView, Passage, Refused, Way

log = logging.getLogger(__name__)


class WentOnAlone(Exception):
    """The caller has left, and the rest of its call is somebody else's to end."""


async def unary_unary(way: Way, method: MethodView, payload: bytes, context: Any) -> bytes:
    """One request, one response."""
    request = method.message(Direction.REQUEST, 0, payload)
    async with passage(way, method, context, request) as call:
        await call.look(request)
        connection = await call.connect()
        call.dispatch(connection.unary_unary(method.name), payload)
        await carry(call, call.relay_response())
    return call.reply


async def unary_stream(way: Way, method: MethodView, payload: bytes, context: Any) -> None:
    """One request, a stream of responses."""
    request = method.message(Direction.REQUEST, 0, payload)
    async with passage(way, method, context, request) as call:
        await call.look(request)
        connection = await call.connect()
        call.dispatch(connection.unary_stream(method.name), payload)
        await carry(call, stream(call))


async def stream_stream(way: Way, method: MethodView, context: Any) -> None:
    """Streams both ways."""
    async with passage(way, method, context, None) as call:
        connection = await call.connect()
        call.dispatch(connection.stream_stream(method.name))
        await carry(call, streams(call))


async def stream(call: Passage) -> None:
    await call.relay_responses()
    await call.complete()


async def streams(call: Passage) -> None:
    async with beside(call.relay_requests()):
        await call.relay_responses()
    await call.complete()


async def carry(call: Passage, work: Coroutine[Any, Any, None]) -> None:
    """What follows the dispatch. It outlives its caller where others wait for the answer."""
    if not call.may_outlive_caller:
        await work
        return
    task = call.way.detached.begin(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if not is_cancelled():
            raise
        call.break_off_upload()
        if task.done() or await call.is_awaited():
            call.go_on_alone()
            call.way.detached.begin(alone(call, task))
            raise WentOnAlone from None
        await stopped(task)
        raise


async def alone(call: Passage, task: asyncio.Task[None]) -> None:
    """The rest of a call whose caller has left, for as long as others wait for its answer."""
    try:
        async with answered(call):
            if await lasts(call, task):
                await task
            else:
                await stopped(task)
                await call.abandon()
    finally:
        call.release()
        call.leave_route()


async def lasts(call: Passage, task: asyncio.Task[None]) -> bool:
    """Whether it came to its end before everybody had left."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + ALONE_MAX_S
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK_EVERY_S)
        if not task.done() and (loop.time() >= until_s or not await call.is_awaited()):
            return False
    return True


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # heard; the caller is not there to be told


def is_cancelled() -> bool:
    """Whether it is this handler that was cancelled, because the caller left, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def passage(way: Way, method: MethodView, context: Any, first: Message | None) -> AsyncIterator[Passage]:
    """Start an exchange, and see to it that it ends once, with the right answer to the caller."""
    has_room = way.room.enter()
    call = None
    try:
        call = await begun(way, method, context, first)
        async with answered(call):
            await call.admit(has_room)
            yield call
    finally:
        if call is None or not call.is_alone:
            if call is not None:
                call.release()
            if has_room:
                way.room.leave()


@asynccontextmanager
async def answered(call: Passage) -> AsyncIterator[None]:
    """Every way in which a call can end otherwise than well, and the right answer to each."""
    try:
        yield
    except Refused:
        await call.answer_ourselves()
    except aio.AioRpcError as error:
        await call.answer_upstream_error(error)
    except UpstreamError as error:
        await call.answer_unreachable(error)
    except WentOnAlone:
        raise asyncio.CancelledError from None
    except asyncio.CancelledError:
        if not await call.interrupted():
            raise
    except cygrpc.ExecuteBatchError as gone:
        # The answer could not be written: the caller has left, and the cancellation is on its way.
        await call.abandon()
        raise asyncio.CancelledError from gone
    except Exception as error:
        await call.answer_own_failure(error)


async def begun(way: Way, method: MethodView, context: Any, first: Message | None) -> Passage:
    try:
        return await Passage.begin(way, method, context, first)
    except Exception:
        # Not even an exchange to account for: the caller hears at least that it was us and not its callee.
        log.exception("call of %s could not be started", method.name)
        trailers = ((REPLY_TRAILER, Reason.CHECK_FAILED.value),)
        await context.abort(grpc.StatusCode.INTERNAL, "the sidecar failed before the call could start", trailers)
        raise


@asynccontextmanager
async def beside(work: Any) -> AsyncIterator[None]:
    """Run `work` in the background for as long as the block takes."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
