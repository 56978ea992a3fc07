"""An agent of one function, served for real: whatever it is asked, and by whatever method, the function answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio


class Served(grpc.GenericRpcHandler):
    """Every method is unary, and `answer(payload, context)` answers it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)


@asynccontextmanager
async def serving(answer: Any) -> AsyncIterator[str]:
    """Its address."""
    async with handled_by(Served(answer)) as address:
        yield address


@asynccontextmanager
async def handled_by(handler: grpc.GenericRpcHandler) -> AsyncIterator[str]:
    """The address of an agent whose calls this handler takes."""
    server = aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
