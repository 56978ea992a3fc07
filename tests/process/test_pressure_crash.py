"""A sidecar that is killed frees what it held for the fleet, once its lease has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from tests.process.programs import Program, agent, eventually
from tests.stores.places import RedisServer

LEASE_S = 2.0

FILE = """
agent: worker
mode: enforce
routes: [{{listen: "127.0.0.1:0", upstream: "127.0.0.1:{upstream}"}}]
store: {store}
metrics: {{listen: "127.0.0.1:0"}}
tracing: {{exporter: none}}
pressure:
  limits: [{{callee: worker, concurrency: 1, scope: fleet}}]
  lease: 2s
"""


@contextmanager
def sidecar(path: Path) -> Iterator[tuple[Program, int]]:
    program = Program("-m", "sidecar", "run", "-c", str(path))
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, port
    finally:
        program.close()


def code_of(port: int) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/t.Agent/Echo")(b"hello", timeout=5)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_a_killed_sidecar_frees_its_places_after_the_lease(tmp_path: Path):
    """Its call is gone with it; the other sidecar refuses until the lease ends, and not much longer."""
    redis = RedisServer(tmp_path).start()
    path = tmp_path / "sidecar.yaml"
    try:
        with agent() as (_, upstream):
            path.write_text(FILE.format(upstream=upstream, store=redis.url))
            with sidecar(path) as (first, first_port), sidecar(path) as (_, second_port):
                channel = grpc.insecure_channel(f"127.0.0.1:{first_port}")
                stream = channel.stream_stream("/t.Agent/Ticks")(iter(()), timeout=30)
                assert next(stream) == b"tick"
                # Longer than the lease: while its sidecar lives, the place is taken.
                time.sleep(LEASE_S * 1.5)
                assert code_of(second_port) == "RESOURCE_EXHAUSTED"
                first.kill()
                killed_s = time.monotonic()
                assert code_of(second_port) == "RESOURCE_EXHAUSTED"
                assert eventually(lambda: code_of(second_port) == "OK", limit_s=LEASE_S * 3)
                assert LEASE_S / 3 < time.monotonic() - killed_s < LEASE_S + 1.5
                channel.close()
    finally:
        redis.stop()
