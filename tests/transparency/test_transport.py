"""Transports: unix sockets, TLS and mTLS on both hops, and connections that come and go."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from tests.transparency.caller import Caller
from tests.transparency.certs import SERVER_NAME, TlsFiles
from tests.transparency.line import Line, open_line
from tests.transparency.protocol import STREAM_STREAM, UNARY_UNARY
from tests.transparency.upstream import Call
from tests.transparency.wire import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def sockets() -> Iterator[Path]:
    """A folder for unix sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="line-") as folder:
        yield Path(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unix_line(way: str, folder: Path, sockets: Path) -> AsyncIterator[Line]:
    listen, behind = (f"unix:{sockets / way}{end}" for end in ("-front", "-back"))
    async with open_line(way, folder, listen=listen, upstream_listen=behind) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tls_line(way: str, folder: Path, tls: TlsFiles) -> AsyncIterator[Line]:
    async with open_line(way, folder, tls=tls) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mtls_line(way: str, folder: Path, tls: TlsFiles) -> AsyncIterator[Line]:
    async with open_line(way, folder, tls=tls, wants_client=True) as opened:
        yield opened


async def test_unix_sockets_carry_calls(unix_line: Line, method: str) -> None:
    """Both hops over unix sockets, every shape of call."""
    async with unix_line.dial() as caller:
        answer = await caller.ask(method, [b"local"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"local",))


async def test_tls_carries_calls(tls_line: Line, tls: TlsFiles, method: str) -> None:
    """Both hops encrypted, the server's certificate verified on each."""
    async with tls_line.dial(tls.channel_credentials()) as caller:
        answer = await caller.ask(method, [b"sealed"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"sealed",))


async def test_tls_server_shows_the_certificate_it_was_given(tls_line: Line, tls: TlsFiles) -> None:
    """It holds for its name, so a caller that dials by name is satisfied."""
    options = [("grpc.ssl_target_name_override", SERVER_NAME)]
    async with tls_line.dial(tls.channel_credentials(), options=options) as caller:
        assert (await caller.ask(UNARY_UNARY)).code is grpc.StatusCode.OK


async def test_wrong_name_is_refused_by_the_caller(tls_line: Line, tls: TlsFiles) -> None:
    """The certificate says who is there, and not just that somebody is."""
    options = [("grpc.ssl_target_name_override", "somebody.else")]
    async with tls_line.dial(tls.channel_credentials(), options=options) as caller:
        assert (await caller.ask(UNARY_UNARY, timeout=5)).code is grpc.StatusCode.UNAVAILABLE


async def test_plain_text_is_refused_where_tls_is_asked_for(tls_line: Line) -> None:
    """No call gets through without encryption."""
    async with tls_line.dial() as caller:
        assert (await caller.ask(UNARY_UNARY, timeout=5)).code is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_carries_calls(mtls_line: Line, tls: TlsFiles, method: str) -> None:
    """Both sides of both hops show certificates."""
    async with mtls_line.dial(tls.channel_credentials(tls.client)) as caller:
        answer = await caller.ask(method, [b"known"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"known",))


async def test_missing_client_certificate_is_refused(mtls_line: Line, tls: TlsFiles) -> None:
    """Where a client certificate is asked for, none is not enough."""
    async with mtls_line.dial(tls.channel_credentials()) as caller:
        assert (await caller.ask(UNARY_UNARY, timeout=5)).code is grpc.StatusCode.UNAVAILABLE


async def test_foreign_client_certificate_is_refused(mtls_line: Line, tls: TlsFiles) -> None:
    """Nor is one that says the right name in the words of the wrong authority."""
    async with mtls_line.dial(tls.channel_credentials(tls.foreign)) as caller:
        assert (await caller.ask(UNARY_UNARY, timeout=5)).code is grpc.StatusCode.UNAVAILABLE


async def test_refused_handshakes_leave_the_listener_alone(mtls_line: Line, tls: TlsFiles) -> None:
    """After strangers were turned away, a known caller is served."""
    strangers = [mtls_line.dial(tls.channel_credentials(tls.foreign)) for _ in range(3)]
    for stranger in strangers:
        async with stranger as caller:
            assert (await caller.ask(UNARY_UNARY, timeout=5)).code is grpc.StatusCode.UNAVAILABLE
    async with mtls_line.dial(tls.channel_credentials(tls.client)) as caller:
        assert (await caller.ask(UNARY_UNARY)).code is grpc.StatusCode.OK


async def test_patient_call_waits_until_somebody_listens(way: str, folder: Path) -> None:
    """`wait_for_ready`: a call made before anybody is there succeeds once somebody is."""
    address = f"127.0.0.1:{free_port()}"
    async with grpc.aio.insecure_channel(address, [("grpc.initial_reconnect_backoff_ms", 100)]) as channel:
        call = channel.unary_unary(UNARY_UNARY)(b"", wait_for_ready=True, timeout=15)
        await attempt_failed(channel)
        async with open_line(way, folder, listen=address):
            assert await call == b""


async def test_impatient_call_fails_at_once_when_nobody_listens(line: Line) -> None:
    """Without `wait_for_ready`, a dead address is UNAVAILABLE long before the deadline."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port()}") as channel, asyncio.timeout(5):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(UNARY_UNARY)(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    async with line.dial() as caller:
        assert (await caller.ask(UNARY_UNARY)).code is grpc.StatusCode.OK


async def test_frequent_keepalives_are_not_punished(line: Line) -> None:
    """A callee that allows lively pings must not have them answered with GOAWAY on its behalf."""

    async def callee(call: Call) -> None:
        await call.write(b"open")
        await call.read()
        await call.write(b"still open")

    async with Wire.connected(line.address) as wire:
        stream = await wire.request(STREAM_STREAM, line.upstream.plays(callee))
        await wire.headers(stream)
        for number in range(12):
            assert await wire.ping(b"ping%04d" % number) == b"ping%04d" % number
        await wire.send(stream, b"", end=True)
        answer = await wire.answer(stream)
    assert (answer.is_lost, wire.goaway, len(answer.messages)) == (False, None, 2)


async def test_many_connections_are_served_alike(line: Line) -> None:
    """Thirty callers, a connection each, none in the other's way."""

    async def one(name: int) -> bool:
        async with line.dial() as caller:
            return (await caller.ask(UNARY_UNARY, [b"%d" % name])).messages == (b"%d" % name,)

    assert all(await asyncio.gather(*(one(name) for name in range(30))))


async def test_calls_go_on_after_a_caller_reconnects(line: Line, caller: Caller) -> None:
    """Nothing of an earlier connection is needed by a later one."""
    assert (await caller.ask(UNARY_UNARY)).code is grpc.StatusCode.OK
    await caller.channel.close()
    async with line.dial() as again:
        assert (await again.ask(UNARY_UNARY)).code is grpc.StatusCode.OK


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def attempt_failed(channel: grpc.aio.Channel) -> None:
    """Until the channel has tried in vain once."""
    async with asyncio.timeout(5):
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await channel.wait_for_state_change(state)
            state = channel.get_state()
