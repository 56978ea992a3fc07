"""Certificates and keys replaced under a running sidecar: no call is lost, no broken file gets in force."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc import aio

from sidecar import renewal
from sidecar.testing import RunningSidecar, running_sidecar
from tests.transparency.certs import SERVER_NAME, TlsFiles, make_tls_files

ASK = "/shop.Orders/Ask"
OVERRIDE = [("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at more often than an operator would want."""
    monkeypatch.setattr(renewal, "POLL_S", 0.05)


class Echo(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.metadata: list[dict[str, Any]] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, payload: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if payload == b"wait":
            await self.go_on.wait()
        return payload


@asynccontextmanager
async def callee(credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[tuple[str, Echo]]:
    server, echo = aio.server(), Echo()
    server.add_generic_rpc_handlers((echo,))
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", echo
    finally:
        await server.stop(0)


def files(folder: Path) -> TlsFiles:
    folder.mkdir()
    return make_tls_files(folder)


def put(new: TlsFiles, old: TlsFiles) -> None:
    """The new certificates under the old names."""
    pairs = [(new.ca, old.ca), (new.server.cert, old.server.cert), (new.server.key, old.server.key)]
    for source, target in [*pairs, (new.client.cert, old.client.cert), (new.client.key, old.client.key)]:
        shutil.copyfile(source, target)


def dial(address: str, tls: TlsFiles) -> aio.Channel:
    return aio.secure_channel(address, tls.channel_credentials(tls.client), options=OVERRIDE)


async def passes(address: str, tls: TlsFiles) -> bool:
    async with dial(address, tls) as channel:
        try:
            return bytes(await channel.unary_unary(ASK)(b"x", timeout=5)) == b"x"
        except aio.AioRpcError:
            return False


async def until(is_so: Any, limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await is_so():
            await asyncio.sleep(0.05)


def reloads(sidecar: RunningSidecar, what: str, outcome: str) -> float:
    labels = {"what": what, "outcome": outcome}
    return sidecar.app.metrics.registry.get_sample_value("sidecar_secret_reloads_total", labels) or 0.0


async def test_a_new_certificate_is_shown_and_an_open_call_goes_on(tmp_path: Path):
    """And callers whose authority is no longer trusted get no further than the handshake."""
    old, new = files(tmp_path / "old"), files(tmp_path / "new")
    before = files(tmp_path / "before")
    put(old, before)
    async with callee() as (upstream, echo):
        options = {"listen_tls": old.listen_options(wants_client=True)}
        async with running_sidecar(upstream, **options) as sidecar, dial(sidecar.address, before) as channel:
            waiting = asyncio.create_task(call(channel, b"wait"))
            assert await passes(sidecar.address, before)
            put(new, old)
            await until(lambda: passes(sidecar.address, new))
            assert not await passes(sidecar.address, before)
            echo.go_on.set()
            assert await waiting == b"wait"
            assert reloads(sidecar, "listen_tls", "loaded") == 1


async def call(channel: aio.Channel, payload: bytes) -> bytes:
    return bytes(await channel.unary_unary(ASK)(payload, timeout=20))


async def test_a_broken_pair_is_not_put_in_force(tmp_path: Path):
    """It is said and counted, and calls pass as before."""
    old, new = files(tmp_path / "old"), files(tmp_path / "new")
    async with callee() as (upstream, _):
        options = {"listen_tls": old.listen_options(wants_client=False)}
        async with running_sidecar(upstream, **options) as sidecar:
            shutil.copyfile(new.server.cert, old.server.cert)

            async def refused() -> bool:
                return reloads(sidecar, "listen_tls", "refused") == 1

            await until(refused)
            assert await passes(sidecar.address, old)


async def test_a_new_client_certificate_is_shown_upstream(tmp_path: Path):
    """The upstream trusts only the new authority from now on, and so do we of it."""
    old, new = files(tmp_path / "old"), files(tmp_path / "new")
    current = [old]

    def certificates(tls: TlsFiles) -> grpc.ServerCertificateConfiguration:
        pair = (tls.server.key.read_bytes(), tls.server.cert.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], tls.ca.read_bytes())

    given = [certificates(old), certificates(new)]
    credentials = grpc.dynamic_ssl_server_credentials(given[0], lambda: given[current[0] is new], True)
    async with callee(credentials) as (upstream, _):
        port = upstream.rpartition(":")[2]
        options = {"upstream_tls": old.upstream_options(wants_client=True)}
        async with (
            running_sidecar(f"localhost:{port}", **options) as sidecar,
            aio.insecure_channel(sidecar.address) as channel,
        ):
            assert await call(channel, b"x") == b"x"
            current[0] = new
            put(new, old)

            async def renewed() -> bool:
                return reloads(sidecar, "upstream_tls", "loaded") == 1

            await until(renewed)
            assert await call(channel, b"y") == b"y"


async def test_lineage_keys_are_replaced_without_a_restart_and_without_a_gap(tmp_path: Path):
    """The three steps of a rotation on two sidecars, with calls all the while: no entry is ever doubted."""
    one, two = {"id": "one", "secret": "1" * 32}, {"id": "two", "secret": "2" * 32}
    places = [tmp_path / "caller.yaml", tmp_path / "callee.yaml"]
    for place in places:
        place.write_text(yaml.safe_dump([one]))
    outbound = {"caller": "planner", "callee": "callee"}
    async with (
        callee() as (upstream, _),
        running_sidecar(upstream, lineage={"keys_file": str(places[1])}) as inner,
        running_sidecar(inner.address, agent="planner", route=outbound, lineage={"keys_file": str(places[0])}) as outer,
        aio.insecure_channel(outer.address) as channel,
    ):
        done = asyncio.Event()
        caller = asyncio.create_task(calls(channel, done))
        for step, keys in enumerate([[one, two], [two, one], [two]], 1):
            for place, sidecar in zip(places, (outer, inner), strict=True):
                place.write_text(yaml.safe_dump(keys))
                await until(lambda sidecar=sidecar, step=step: loaded(sidecar, step))
        done.set()
        assert await caller > 0
        inbound = [outcome.exchange.lineage for outcome in inner.outcomes]
        assert {lineage.rejected for lineage in inbound} == {None}
        assert {lineage.caller for lineage in inbound} == {"planner"}


async def calls(channel: aio.Channel, done: asyncio.Event) -> int:
    count = 0
    while not done.is_set():
        await call(channel, b"x")
        count += 1
        await asyncio.sleep(0.005)
    return count


async def loaded(sidecar: RunningSidecar, times: int) -> bool:
    return reloads(sidecar, "lineage_keys", "loaded") == times
