"""The line-up: who is asked, and what stands in for a store that is away."""

from __future__ import annotations

import ast
from pathlib import Path

import grpc
from grpc import aio

from sidecar.testing import running_sidecar
from tests.stores.places import free_port

CHECKS = Path(__file__).parent.parent / "sidecar" / "checks"
ASK = "/shop.Orders/Ask"
HOOKS = {"on_start", "on_message", "on_answer", "on_end"}


class Echo(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(echoed)


async def echoed(payload: bytes, context: object) -> bytes:
    return payload


def classes_with_hooks() -> set[str]:
    """Every class below `checks/` that the engine could ask."""
    nodes = [node for path in CHECKS.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    return {
        node.name
        for node in nodes
        if isinstance(node, ast.ClassDef) and HOOKS & {getattr(each, "name", "") for each in node.body}
    }


async def test_every_check_has_one_place():
    """One that is written and not lined up would pass its own tests, and check nothing."""
    async with running_sidecar("127.0.0.1:1") as sidecar:
        lined_up = [type(check).__name__ for check in sidecar.app.line_up.checks]
    assert sorted(lined_up) == sorted(classes_with_hooks())


async def test_a_place_taken_while_the_store_is_away_is_given_back():
    """The room that stands in for the fleet's is the one that is left when a call ends: the next finds it empty."""
    server = aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    limit = {"callee": "callee", "concurrency": 1, "scope": "fleet"}
    spec = {"mode": "enforce", "store": f"redis://127.0.0.1:{free_port()}/0", "pressure": {"limits": [limit]}}
    try:
        async with (
            running_sidecar(f"127.0.0.1:{port}", **spec) as sidecar,
            aio.insecure_channel(sidecar.address) as channel,
        ):
            for number in range(3):
                payload = str(number).encode()
                assert await channel.unary_unary(ASK)(payload, timeout=10) == payload
            away = {"check": "pressure", "reason": "store_away"}
            assert sidecar.app.metrics.registry.get_sample_value("sidecar_fail_open_total", away)
    finally:
        await server.stop(0)
