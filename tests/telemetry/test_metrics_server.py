"""The metrics server, asked over real sockets."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.telemetry import names
from sidecar.telemetry.families import ScrapedGauge
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.metrics_server import CONNECTIONS, Locks, MetricsServer, host_and_port
from tests.telemetry import story
from tests.transparency.certs import make_tls_files


class Readiness:
    def __init__(self) -> None:
        self.is_ready = False

    def __call__(self) -> bool:
        return self.is_ready


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def address(readiness: Readiness) -> Iterator[str]:
    server = MetricsServer(MetricsReporter(clock=story.Clock()).registry, "127.0.0.1:0", readiness)
    yield server.start()
    server.stop()


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_metrics_are_text_unless_asked_otherwise(address: str) -> None:
    """A person's browser and an old scraper get version 0.0.4."""
    response, body = ask(address, "/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"sidecar_build_info{" in body


def test_a_scraper_that_reads_openmetrics_gets_it(address: str) -> None:
    """Exemplars exist only there."""
    response, body = ask(address, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_the_body_is_compressed_for_who_accepts_it(address: str) -> None:
    """Prometheus does; exposition shrinks tenfold."""
    response, body = ask(address, "/metrics", Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"sidecar_build_info{" in gzip.decompress(body)


def test_health_and_readiness_are_two_questions(address: str, readiness: Readiness) -> None:
    """Alive while it answers; ready only while calls are served."""
    assert ask(address, "/healthz")[0].status == 200
    assert ask(address, "/readyz")[0].status == 503
    readiness.is_ready = True
    assert ask(address, "/readyz")[0].status == 200


def test_another_path_says_what_there_is(address: str) -> None:
    """404 with a hint, not an empty page."""
    response, body = ask(address, "/")
    assert response.status == 404
    assert b"/metrics" in body


def test_head_has_the_length_and_no_body(address: str) -> None:
    """Probes of load balancers use it."""
    response, body = ask(address, "/healthz", "HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, "3", b"")


def test_a_collector_that_fails_is_a_500_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """A scrape error must be visible to Prometheus as one."""
    reporter = MetricsReporter(clock=story.Clock())
    reporter.registry.register(ScrapedGauge(names.STORE_AWAY, lambda: {}["away"]))
    server = MetricsServer(reporter.registry, "127.0.0.1:0")
    address = server.start()
    try:
        assert ask(address, "/metrics")[0].status == 500
        assert ask(address, "/healthz")[0].status == 200
    finally:
        server.stop()
    assert "could not be rendered" in caplog.text


def test_connections_past_the_limit_are_closed_unanswered(address: str) -> None:
    """Idle connections cost a thread each, so there is a limit; those inside it are served on."""
    host, port = host_and_port(address)
    held = [socket.create_connection((host, port), timeout=5) for _ in range(CONNECTIONS)]
    try:
        held[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[-1].recv(64).startswith(b"HTTP/1.1 200")
        with socket.create_connection((host, port), timeout=5) as refused:
            assert refused.recv(64) == b""
    finally:
        for connection in held:
            connection.close()


def test_the_port_is_free_again_after_stop() -> None:
    """A restarted sidecar binds the same address."""
    server = MetricsServer(MetricsReporter(clock=story.Clock()).registry, "127.0.0.1:0")
    address = server.start()
    server.stop()
    again = MetricsServer(MetricsReporter(clock=story.Clock()).registry, address)
    assert again.start() == address
    again.stop()


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), ("[::1]:9464", ("::1", 9464)), (":9464", ("0.0.0.0", 9464))],
)
def test_addresses_are_host_and_port(address: str, expected: tuple[str, int]) -> None:
    """IPv6 in brackets, nothing for all interfaces."""
    assert host_and_port(address) == expected


TOKEN = b"0123456789abcdef"


@contextmanager
def locked(locks: Locks) -> Iterator[tuple[MetricsServer, str]]:
    server = MetricsServer(MetricsReporter(clock=story.Clock()).registry, "127.0.0.1:0", locks=locks)
    try:
        yield server, server.start()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer 0123456789abcdef", 200),
        ("bearer 0123456789abcdef", 200),
        ("Bearer 0123456789abcdeg", 401),
        ("Bearer 0123456789abcde", 401),
        ("Basic 0123456789abcdef", 401),
        ("0123456789abcdef", 401),
        ("Bearer", 401),
        ("Bearer \xe4\xf6\xfc", 401),
        ("", 401),
    ],
)
def test_the_page_is_for_those_who_know_the_token(authorization: str, status: int) -> None:
    with locked(Locks(token=TOKEN)) as (_, address):
        response, body = ask(address, "/metrics", Authorization=authorization)
        assert response.status == status
        assert (b"sidecar_" in body) is (status == 200)
        assert (response.headers["WWW-Authenticate"] == "Bearer") is (status == 401)


def test_a_token_that_changes_holds_for_the_next_scrape() -> None:
    with locked(Locks(token=TOKEN)) as (server, address):
        server.locks = Locks(token=b"another token 16")
        assert ask(address, "/metrics", Authorization="Bearer 0123456789abcdef")[0].status == 401
        assert ask(address, "/metrics", Authorization="Bearer another token 16")[0].status == 200


def test_a_kubelet_needs_no_token() -> None:
    with locked(Locks(token=TOKEN)) as (_, address):
        assert ask(address, "/healthz")[0].status == 200
        assert ask(address, "/readyz")[0].status == 200


def scraped(address: str, path: str, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection(address, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_with_a_client_authority_the_page_is_for_clients_with_a_certificate(tmp_path: Path) -> None:
    """A probe has none to show, and a stranger's is refused in the handshake."""
    tls = make_tls_files(tmp_path)
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.ca)
    inside.load_cert_chain(tls.server.cert, tls.server.key)
    inside.verify_mode = ssl.CERT_OPTIONAL
    anyone, client, stranger = (ssl.create_default_context(cafile=tls.ca) for _ in range(3))
    client.load_cert_chain(tls.client.cert, tls.client.key)
    stranger.load_cert_chain(tls.foreign.cert, tls.foreign.key)
    with locked(Locks(inside, wants_certificate=True)) as (_, address):
        assert scraped(address, "/metrics", client) == 200
        assert scraped(address, "/metrics", anyone) == 401
        assert scraped(address, "/healthz", anyone) == 200
        with pytest.raises((ssl.SSLError, OSError)):
            scraped(address, "/metrics", stranger)


def test_who_stalls_in_a_handshake_keeps_nobody_waiting(tmp_path: Path) -> None:
    tls = make_tls_files(tmp_path)
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    inside.load_cert_chain(tls.server.cert, tls.server.key)
    with locked(Locks(inside)) as (_, address), socket.create_connection(host_and_port(address)):
        assert scraped(address, "/metrics", ssl.create_default_context(cafile=tls.ca)) == 200
