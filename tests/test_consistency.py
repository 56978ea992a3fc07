"""Resources through real sidecars: three agents, each behind its own, and a bank that takes every write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from sidecar.testing import RunningSidecar, running_sidecar

GET, PUT = "/bank.Accounts/Get", "/bank.Accounts/Put"

READ = """
spec: account-read/v1
match: {callee: bank, method: /bank.Accounts/Get}
resource: {name: account, key: $.account.id, version: $.account.version}
"""
WRITE = """
spec: account-write/v1
match: {callee: bank, method: /bank.Accounts/Put}
resource: {name: account, key: $.account.id, version: $.account.version, writes: true}
"""


class Bank(grpc.GenericRpcHandler):
    """Takes whatever it is given and counts on, as a careless service does."""

    def __init__(self) -> None:
        self.version = 1
        self.replica: int | None = None
        """What reads are answered with where a replica lags behind."""
        self.writes = 0

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self.get if details.method == GET else self.put)

    async def get(self, _payload: bytes, _context: Any) -> bytes:
        return account(self.replica or self.version)

    async def put(self, _payload: bytes, _context: Any) -> bytes:
        self.writes += 1
        self.version += 1
        return account(self.version)


def account(version: int) -> bytes:
    return json.dumps({"account": {"id": "7", "version": version}}).encode()


Call = Callable[[str, bytes], Any]


@asynccontextmanager
async def fleet(folder: Path, mode: str = "enforce") -> AsyncIterator[tuple[Bank, RunningSidecar, dict[str, Call]]]:
    """planner and editor, each → [its sidecar] → [the bank's sidecar] → bank"""
    (folder / "read.yaml").write_text(READ)
    (folder / "write.yaml").write_text(WRITE)
    bank, server = Bank(), aio.server()
    server.add_generic_rpc_handlers((bank,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"mode": mode, "specs": [folder]}
        banks = await stack.enter_async_context(running_sidecar(f"127.0.0.1:{port}", agent="bank", **options))
        calls: dict[str, Call] = {}
        for agent in ("planner", "editor"):
            route = {"caller": agent, "callee": "bank"}
            sidecar = await stack.enter_async_context(running_sidecar(banks.address, agent=agent, route=route))
            calls[agent] = through(await stack.enter_async_context(aio.insecure_channel(sidecar.address)))
        yield bank, banks, calls
    await server.stop(0)


def through(channel: aio.Channel) -> Call:
    return lambda method, payload: channel.unary_unary(method)(payload, timeout=5)


def metric(running: RunningSidecar, name: str) -> float | None:
    value: float | None = running.app.metrics.registry.get_sample_value(f"sidecar_{name}", {"resource": "account"})
    return value


async def test_a_lost_update_is_refused_before_the_callee_sees_it(tmp_path: Path):
    """Both have read version 1; the editor writes first, and the planner is told to read again."""
    async with fleet(tmp_path) as (bank, banks, calls):
        for agent in ("planner", "editor"):
            await calls[agent](GET, account(0))
        await calls["editor"](PUT, account(1))
        with pytest.raises(aio.AioRpcError) as caught:
            await calls["planner"](PUT, account(1))
        assert bank.writes == 1
        fresh = json.loads(await calls["planner"](GET, account(0)))["account"]["version"]
        await calls["planner"](PUT, account(fresh))
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert ("sidecar-reply", "STALE_WRITE") in tuple(caught.value.trailing_metadata() or ())
    assert "editor has overwritten" in (caught.value.details() or "")
    assert (bank.writes, metric(banks, "lost_updates_total")) == (2, 1)


async def test_an_observed_lost_update_is_counted_and_taken(tmp_path: Path):
    """Observe changes nothing: the bank gets both writes."""
    async with fleet(tmp_path, "observe") as (bank, banks, calls):
        await calls["editor"](PUT, account(1))
        await calls["planner"](PUT, account(1))
    assert (bank.writes, metric(banks, "lost_updates_total")) == (2, 1)


async def test_a_replica_that_lags_behind_is_told(tmp_path: Path):
    """The planner wrote version 2 and is given 1: what it changed seems not to have happened."""
    async with fleet(tmp_path) as (bank, banks, calls):
        await calls["planner"](PUT, account(1))
        bank.replica = 1
        assert json.loads(await calls["planner"](GET, account(0)))["account"]["version"] == 1
    assert metric(banks, "stale_reads_total") == 1
    [found] = banks.outcomes[-1].exchange.findings
    assert found.message == "account-read/v1: planner was given an older version than it has written"


async def test_only_the_owner_may_write(tmp_path: Path):
    """Who calls is what its sidecar says of it, not what it says itself."""
    async with fleet(tmp_path) as (bank, banks, calls):
        (tmp_path / "write.yaml").write_text(WRITE.replace("writes: true", "writes: true, owner: editor"))
        await until(lambda: banks.app.describe_specs()[-1].endswith("written by editor"))
        with pytest.raises(aio.AioRpcError) as caught:
            await calls["planner"](PUT, account(1))
        await calls["editor"](PUT, account(1))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert ("sidecar-reply", "NOT_OWNER") in tuple(caught.value.trailing_metadata() or ())
    assert bank.writes == 1


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not is_so():
            await asyncio.sleep(0.02)
