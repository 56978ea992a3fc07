"""`python -m sidecar.health`: what containers ask every few seconds, against real servers."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from sidecar.health import main
from sidecar.telemetry.metrics_server import Locks, MetricsServer
from tests.transparency.certs import make_tls_files

NOBODY = "127.0.0.1:1"

WATCHED = """
import runpy, sys
try:
    runpy.run_module("sidecar.health", run_name="__main__")
finally:
    print(sorted(name for name in sys.modules if name.startswith(("sidecar.", "grpc", "opentelemetry"))))
"""
"""The program itself, and then a list of what it had to load."""


@pytest.fixture
def ready() -> Iterator[tuple[str, list[bool]]]:
    """A sidecar's own page, and a switch for what it says."""
    is_ready = [True]
    server = MetricsServer(CollectorRegistry(), "127.0.0.1:0", lambda: is_ready[0])
    try:
        yield server.start(), is_ready
    finally:
        server.stop()


@pytest.fixture
def verifier() -> Iterator[tuple[str, health.HealthServicer]]:
    """gRPC's own health service, which verifiers use."""
    server, servicer = grpc.server(ThreadPoolExecutor(1)), health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", servicer
    server.stop(None)


def test_a_sidecar_that_serves_is_healthy_until_it_drains(
    ready: tuple[str, list[bool]], capsys: pytest.CaptureFixture[str]
):
    """503 is an answer, and not the one that was hoped for."""
    address, is_ready = ready
    assert main([f"http://{address}/readyz"]) == 0
    is_ready[0] = False
    assert main([f"http://{address}/readyz"]) == 1
    assert "answers 503" in capsys.readouterr().err


def test_behind_tls_it_is_asked_in_the_same_way(tmp_path: Path):
    """A page that shows its figures only to clients with a certificate still says to all whether it serves."""
    tls = make_tls_files(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.ca)
    context.load_cert_chain(tls.server.cert, tls.server.key)
    locks = Locks(context, wants_certificate=True)
    server = MetricsServer(CollectorRegistry(), "127.0.0.1:0", lambda: True, locks=locks)
    address = server.start()
    try:
        assert main([f"https://{address}/readyz"]) == 0
        assert main([f"https://{address}/metrics"]) == 1
        assert main([f"http://{address}/readyz"]) == 1
    finally:
        server.stop()


def test_a_verifier_is_healthy_while_it_says_so(verifier: tuple[str, health.HealthServicer]):
    """SERVING, and nothing else."""
    address, servicer = verifier
    assert main([f"grpc://{address}"]) == 0
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert main([f"grpc://{address}"]) == 1


def test_whoever_takes_a_connection_is_there(verifier: tuple[str, health.HealthServicer]):
    """All that can be asked of an agent that knows no health protocol."""
    assert main([f"tcp://{verifier[0]}"]) == 0


@pytest.mark.parametrize("scheme", ["http", "grpc", "tcp"])
def test_nobody_there_is_not_healthy(scheme: str, capsys: pytest.CaptureFixture[str]):
    """And the log of the container says who was looked for."""
    assert main([f"{scheme}://{NOBODY}"]) == 1
    assert NOBODY in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["127.0.0.1:9464"], ["ftp://127.0.0.1:21"], ["http://127.0.0.1"], ["tcp://a:x"]]
)
def test_a_mistake_is_not_taken_for_an_illness(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    """64, with what was found and what is allowed."""
    assert main(arguments) == 64
    found = capsys.readouterr().err
    assert "found" in found and "allowed" in found


def test_it_is_a_program_of_its_own(ready: tuple[str, list[bool]]):
    """As the health check starts it; it loads nothing of the sidecar's that would cost CPU every few seconds."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, f"http://{ready[0]}/readyz"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
