"""Loops over real processes: two replicas of one sidecar, one of which is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import yaml

from tests.process.programs import Program, agent
from tests.stores.places import RedisServer

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def replica(folder: Path, upstream: int, store: str) -> Iterator[tuple[Program, int]]:
    path = folder / "sidecar.yaml"
    tree = {
        "agent": "worker",
        "mode": "enforce",
        "routes": [{"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"}],
        "store": store,
        "loops": {"slow": "0s"},
        "metrics": False,
        "tracing": {"exporter": "none"},
    }
    path.write_text(yaml.safe_dump(tree))
    program = Program("-m", "sidecar", "run", "-c", str(path))
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, port
    finally:
        program.close()


def code(port: int, number: int) -> str:
    """Of one call in the same conversation, with an id of its own."""
    payload = json.dumps({"messageId": f"m{number}", "text": "are we there yet?"}).encode()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/t.Agent/Echo")(payload, metadata=[("traceparent", TRACE)], timeout=10)
        except grpc.RpcError as error:
            name: str = error.code().name
            return name
    return "OK"


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/state.db"
        return
    server = RedisServer(tmp_path).start()
    yield server.url
    server.stop()


def test_replicas_count_together_and_a_break_outlives_a_killed_one(tmp_path: Path, store: str):
    """Five calls over two processes are allowed; the sixth is refused by either, and by the one that comes back."""
    with agent() as (_, upstream), replica(tmp_path, upstream, store) as (_, two):
        with replica(tmp_path, upstream, store) as (program, one):
            ports = [one, two, one, two, one]
            assert [code(port, number) for number, port in enumerate(ports)] == ["OK"] * 5
            assert code(two, 6) == "FAILED_PRECONDITION"
            assert code(one, 7) == "FAILED_PRECONDITION"
            program.kill()
        assert code(two, 8) == "FAILED_PRECONDITION"
        with replica(tmp_path, upstream, store) as (_, again):
            assert code(again, 9) == "FAILED_PRECONDITION"
