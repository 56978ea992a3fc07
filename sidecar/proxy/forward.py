"""The story of one call: it arrives, the engine looks at it, it is dispatched, messages pass, it ends.

Three ways through, by what the descriptors say of the method: one request and one response (cheap), one request and a
stream of responses, and streams both ways, which carries every method, known or not. Whatever happens, the engine hears
of the end exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from grpc import aio
from grpc._cython import cygrpc

from sidecar.engine.message import Direction, Message
from sidecar.errors import REPLY_TRAILER, Reason, UpstreamError
from sidecar.proxy.passage import MethodView, Passage, Refused, Way

log = logging.getLogger(__name__)


async def unary_unary(way: Way, method: MethodView, payload: bytes, context: Any) -> bytes:
    """One request, one response."""
    request = method.message(Direction.REQUEST, 0, payload)
    async with passage(way, method, context, request) as call:
        await call.look(request)
        connection = await call.connect()
        response: bytes = await call.dispatch(connection.unary_unary(method.name), payload)
        await call.look(method.message(Direction.RESPONSE, 0, response))
        await call.complete()
        await call.relay_headers()
        call.reply = response
    return call.reply


async def unary_stream(way: Way, method: MethodView, payload: bytes, context: Any) -> None:
    """One request, a stream of responses."""
    request = method.message(Direction.REQUEST, 0, payload)
    async with passage(way, method, context, request) as call:
        await call.look(request)
        connection = await call.connect()
        call.dispatch(connection.unary_stream(method.name), payload)
        await call.relay_responses()
        await call.complete()


async def stream_stream(way: Way, method: MethodView, context: Any) -> None:
    """Streams both ways."""
    async with passage(way, method, context, None) as call:
        connection = await call.connect()
        call.dispatch(connection.stream_stream(method.name))
        async with beside(call.relay_requests()):
            await call.relay_responses()
        await call.complete()


@asynccontextmanager
async def passage(way: Way, method: MethodView, context: Any, first: Message | None) -> AsyncIterator[Passage]:
    """Start an exchange, and see to it that it ends once, with the right answer to the caller."""
    has_room = way.room.enter()
    try:
        call = await begun(way, method, context, first)
        try:
            call.admit(has_room)
            yield call
        except Refused:
            await call.answer_ourselves()
        except aio.AioRpcError as error:
            await call.answer_upstream_error(error)
        except UpstreamError as error:
            await call.answer_unreachable(error)
        except asyncio.CancelledError:
            if not await call.interrupted():
                raise
        except cygrpc.ExecuteBatchError as gone:
            # The answer could not be written: the caller has left, and the cancellation is on its way.
            await call.abandon()
            raise asyncio.CancelledError from gone
        except Exception as error:
            await call.answer_own_failure(error)
        finally:
            call.release()
    finally:
        if has_room:
            way.room.leave()


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
