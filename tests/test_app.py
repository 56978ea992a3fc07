"""The whole sidecar in this process: what only shows when all of it is wired together."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.types import a2a_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from sidecar.administration import Administration
from sidecar.app import App
from sidecar.config import parse
from sidecar.engine.exchange import Origin
from sidecar.testing import RunningSidecar, running_sidecar
from tests.transparency.certs import SERVER_NAME, make_tls_files

SEND = "/lf.a2a.v1.A2AService/SendMessage"
A2A = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"
ASK = "/shop.Orders/Ask"

ORDER_SPEC = """
spec: orders/v1
match: {callee: callee, method: /shop.Orders/*}
request: {schema: {type: object, required: [item], properties: {item: {type: string}}}}
response: {schema: {type: object, properties: {price: {type: number}}}}
"""


class Echo(grpc.GenericRpcHandler):
    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        if details.method.startswith("/grpc."):
            return None
        return grpc.unary_unary_rpc_method_handler(echo)


async def echo(payload: bytes, context: Any) -> bytes:
    return payload


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    async with echoing() as address:
        yield address


@asynccontextmanager
async def echoing(*, describes_itself: bool = False) -> AsyncIterator[str]:
    server = aio.server()
    if describes_itself:
        reflection.enable_server_reflection(["lf.a2a.v1.A2AService", reflection.SERVICE_NAME], server)
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def ask(sidecar: RunningSidecar, payload: bytes, method: str = ASK) -> bytes:
    async with aio.insecure_channel(sidecar.address) as channel:
        answer: bytes = await channel.unary_unary(method)(payload, timeout=10)
    return answer


async def refusal(sidecar: RunningSidecar, payload: bytes) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await ask(sidecar, payload)
    return caught.value


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "orders.yaml"
    path.write_text(ORDER_SPEC)
    return path


async def test_json_payloads_are_judged_without_any_descriptor(upstream: str, spec: Path):
    """JSON shows itself; nothing has to be told of its types."""
    async with running_sidecar(upstream, mode="enforce", specs=[spec]) as sidecar:
        good = json.dumps({"item": "tea"}).encode()
        assert await ask(sidecar, good) == good
        error = await refusal(sidecar, b'{"item": 7}')
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_refusal_says_who_why_and_where(upstream: str, spec: Path):
    """Status, trailer, and ErrorInfo with reason, rule, spec, conversation and trace."""
    async with running_sidecar(upstream, mode="enforce", specs=[spec]) as sidecar:
        error = await refusal(sidecar, b'{"item": 7}')
        lineage = sidecar.outcomes[0].exchange.lineage
    assert ("sidecar-reply", "REQUEST_SPEC_VIOLATION") in tuple(error.trailing_metadata())
    assert (error.details() or "").startswith("REQUEST_SPEC_VIOLATION: ")
    status = rpc_status.from_call(error)
    [info] = unpacked(status)
    assert (info.reason, info.domain) == ("REQUEST_SPEC_VIOLATION", "sidecar")
    assert dict(info.metadata) == {
        "rule": "request.schema",
        "spec": "orders/v1",
        "pointer": "/item",
        "conversation": lineage.conversation,
        "trace_id": lineage.trace_id,
    }


def unpacked(status: status_pb2.Status) -> list[error_details_pb2.ErrorInfo]:
    found = []
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        assert detail.Unpack(info)
        found.append(info)
    return found


async def test_an_answer_that_breaks_its_spec_is_refused_after_the_fact(upstream: str, spec: Path):
    """The callee has run; its caller is told that the answer cannot be used."""
    async with running_sidecar(upstream, mode="enforce", specs=[spec]) as sidecar:
        error = await refusal(sidecar, b'{"item": "tea", "price": "much"}')
    assert error.code() is grpc.StatusCode.INTERNAL
    assert ("sidecar-reply", "RESPONSE_SPEC_VIOLATION") in tuple(error.trailing_metadata())
    assert sidecar.outcomes[0].status.origin is Origin.SIDECAR


async def test_a_spec_that_changes_is_in_force_for_the_next_call(upstream: str, spec: Path):
    """And a broken one never replaces a good one."""
    async with running_sidecar(upstream, mode="enforce", specs=[spec]) as sidecar:
        await ask(sidecar, b'{"item": "tea"}')
        spec.write_text(ORDER_SPEC.replace("required: [item]", "required: [item, count]"))
        await until(lambda: reloads(sidecar, "loaded"))
        assert (await refusal(sidecar, b'{"item": "tea"}')).code() is grpc.StatusCode.INVALID_ARGUMENT
        spec.write_text(ORDER_SPEC.replace("type: object", "type: objekt"))
        await until(lambda: reloads(sidecar, "refused"))
        assert (await refusal(sidecar, b'{"item": "tea"}')).code() is grpc.StatusCode.INVALID_ARGUMENT


def reloads(sidecar: RunningSidecar, outcome: str) -> bool:
    value = sidecar.app.metrics.registry.get_sample_value("sidecar_spec_reloads_total", {"outcome": outcome})
    return bool(value)


async def until(is_so: Any, limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.02)


async def test_an_upstream_that_describes_itself_needs_no_descriptor_file(tmp_path: Path):
    """Asked in the background; once it has answered, its messages have documents."""
    spec = tmp_path / "a2a.yaml"
    spec.write_text("spec: a/v1\nmatch: {callee: callee}\nrequest: {schema: {required: [tenant]}}\n")
    payload = a2a_pb2.SendMessageRequest(message=a2a_pb2.Message(message_id="m")).SerializeToString()
    async with (
        echoing(describes_itself=True) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=["reflection"], specs=[spec]) as sidecar,
    ):
        await until(lambda: sidecar.app.routes[0].descriptors.method(SEND) is not None)
        with pytest.raises(aio.AioRpcError) as caught:
            await ask(sidecar, payload, SEND)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_client_certificate_names_the_caller(upstream: str, tmp_path: Path):
    """What cannot be forged wins over the route's word; a bare header never names anybody."""
    tls = make_tls_files(tmp_path)
    said = {"caller": "somebody", "callee": "callee"}
    options = {"listen_tls": tls.listen_options(wants_client=True), "route": said}
    async with running_sidecar(upstream, **options) as sidecar:
        credentials = tls.channel_credentials(tls.client)
        override = [("grpc.ssl_target_name_override", SERVER_NAME)]
        async with aio.secure_channel(sidecar.address, credentials, options=override) as channel:
            await channel.unary_unary(ASK)(b"x", metadata=(("sidecar-caller", "mallory"),), timeout=10)
    assert sidecar.outcomes[0].exchange.caller == "planner"


async def test_metrics_have_exemplars_that_lead_to_the_trace(upstream: str):
    """Scraped as Prometheus would, over HTTP, while calls are served."""
    async with running_sidecar(upstream) as sidecar:
        await ask(sidecar, b"x")
        request = urllib.request.Request(sidecar.metrics_url, headers={"Accept": "application/openmetrics-text"})
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read().decode())
        trace_id = sidecar.outcomes[0].exchange.lineage.trace_id
    [counted] = [line for line in page.splitlines() if line.startswith("sidecar_exchanges_total{")]
    assert 'code="OK"' in counted
    assert 'side="inbound"' in counted
    assert f'trace_id="{trace_id}"' in counted


@asynccontextmanager
async def tunnel(address: str) -> AsyncIterator[tuple[str, list[int]]]:
    """A way to `address` that counts the bytes that pass, both ways together."""
    counted, pumps = [0], set()
    host, _, port = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            counted[0] += len(data)
            writer.write(data)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        pumps.update({asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))})

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", counted
    finally:
        server.close()
        await asyncio.wait(pumps, timeout=5)


@pytest.mark.parametrize(("compression", "is_small"), [("identity", False), ("gzip", True), ("deflate", True)])
async def test_each_hop_may_be_compressed_again(upstream: str, compression: str, is_small: bool):
    """The caller's own compression cannot be seen, so the route says what its hops use. Counted on the wire."""
    payload = b"a" * 1_000_000
    route = {"compression": {"upstream": compression, "downstream": compression}}
    async with (
        tunnel(upstream) as (far, sent_upstream),
        running_sidecar(far, route=route) as sidecar,
        tunnel(sidecar.address) as (near, sent_downstream),
        aio.insecure_channel(near) as channel,
    ):
        assert await channel.unary_unary(ASK)(payload, timeout=10) == payload
    # Upstream the echo answers uncompressed, downstream the request came uncompressed: one way of each hop is large.
    assert (sent_upstream[0] < 1_100_000) is is_small
    assert (sent_downstream[0] < 1_100_000) is is_small


async def test_calls_over_the_limit_of_streams_are_turned_away(upstream: str):
    """One place, taken by a call that waits: the next one hears OVERLOADED with a delay of its own."""
    arrived, may_go = asyncio.Event(), asyncio.Event()

    class Waiting(grpc.GenericRpcHandler):
        def service(self, details: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(wait)

    async def wait(payload: bytes, context: Any) -> bytes:
        arrived.set()
        await may_go.wait()
        return payload

    server = aio.server()
    server.add_generic_rpc_handlers((Waiting(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with running_sidecar(f"127.0.0.1:{port}", route={"limits": {"streams": 1}}) as sidecar:
        first = asyncio.create_task(ask(sidecar, b"x"))
        await arrived.wait()
        error = await refusal(sidecar, b"y")
        may_go.set()
        assert await first == b"x"
        assert await ask(sidecar, b"z") == b"z"
    await server.stop(0)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    kinds = [detail.type_url.rpartition("/")[2] for detail in rpc_status.from_call(error).details]
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]


class Stumbling:
    """A clock that fails once, where the engine has no net under it."""

    def __init__(self) -> None:
        self.fails_next = False

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def unix_ns(self) -> int:
        if self.fails_next:
            self.fails_next = False
            raise RuntimeError("no time")
        return time.time_ns()


async def test_a_failure_of_our_own_is_told_as_ours_and_ends_no_other_call(upstream: str):
    """Marked in the trailer, so that nobody blames the callee; the next call is served."""
    clock = Stumbling()
    async with running_sidecar(upstream, clock=clock) as sidecar:
        clock.fails_next = True
        error = await refusal(sidecar, b"x")
        assert await ask(sidecar, b"y") == b"y"
    assert error.code() is grpc.StatusCode.INTERNAL
    assert ("sidecar-reply", "CHECK_FAILED") in tuple(error.trailing_metadata())


@asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """Takes connections and says nothing."""
    taken: list[asyncio.StreamWriter] = []

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in taken:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_an_agent_that_answers_nobody_is_unavailable_within_the_deadline():
    """The caller hears UNAVAILABLE from us while it still listens, not a time-out."""
    async with (
        black_hole() as hole,
        running_sidecar(hole) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(ASK)(b"x", timeout=1.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "no HTTP/2" in (caught.value.details() or "")


async def test_a_start_that_fails_at_its_end_leaves_nothing_behind(upstream: str, monkeypatch: pytest.MonkeyPatch):
    """Calls were served by then: whoever connects is refused again, and nothing goes on in the background."""

    async def failing(_self: Administration) -> None:
        raise OSError("no more of it")

    monkeypatch.setattr(Administration, "start", failing)
    tree = {
        "agent": "callee",
        "routes": [{"listen": "127.0.0.1:0", "upstream": upstream}],
        "metrics": {"listen": "127.0.0.1:0"},
        "admin": {"listen": "127.0.0.1:0"},
        "tracing": {"exporter": "none"},
    }
    before = asyncio.all_tasks()
    app = App(parse(json.dumps(tree), name="testing", base=Path.cwd(), environ={}), environ={})
    with pytest.raises(OSError, match="no more of it"):
        await app.start()
    assert not app.is_ready
    for address in (app.routes[0].listener.address, app.metrics_address):
        host, _, port = address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
    await until(lambda: asyncio.all_tasks() <= before)
