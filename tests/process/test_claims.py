"""Claims in a file, through the death of the process that made them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc

from tests.process.programs import Program, agent, eventually

SPEC = "spec: orders/v1\nmatch: {}\nidempotency: {}\n"
CONFIG = """
agent: worker
mode: enforce
routes: [{{listen: '127.0.0.1:0', upstream: '127.0.0.1:{upstream}', caller: planner, callee: worker}}]
specs: [orders.yaml]
store: "sqlite:state.db"
idempotency: {{wait: 0s}}
metrics: {{listen: '127.0.0.1:0'}}
tracing: {{exporter: none}}
"""


@contextmanager
def sidecar(folder: Path, upstream: int) -> Iterator[tuple[Program, int]]:
    (folder / "orders.yaml").write_text(SPEC)
    (folder / "sidecar.yaml").write_text(CONFIG.format(upstream=upstream))
    program = Program("-m", "sidecar", "run", "-c", str(folder / "sidecar.yaml"))
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, port
    finally:
        program.close()


def reply(port: int, payload: bytes, method: str = "Echo") -> str:
    """`sidecar-reply` of the answer, or what the callee answered."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any
        try:
            answer, call = channel.unary_unary(f"/t.Agent/{method}").with_call(payload, timeout=10)
        except grpc.RpcError as error:
            answer, call = b"", error
    return str(dict(call.trailing_metadata()).get("sidecar-reply", answer.decode()))


def states(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "state.db")) as database:
        return [row[0] for row in database.execute("SELECT state FROM claims ORDER BY first_ms")]


def test_kill_9_in_mid_run_leaves_claims_as_they_were(tmp_path: Path):
    """What was recorded is replayed; what was under way is neither free nor done, and in doubt after its lease."""
    done, held = b'{"item": "tea"}', b'{"item": "coffee"}'
    with agent() as (_, upstream):
        with sidecar(tmp_path, upstream) as (program, port):
            assert reply(port, done, "Slow") == done.decode()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                under_way = channel.unary_unary("/t.Agent/Slow").future(held, timeout=10)
                assert eventually(lambda: states(tmp_path) == ["done", "held"])
                program.kill()
                assert under_way.code() is grpc.StatusCode.UNAVAILABLE
        assert states(tmp_path) == ["done", "held"]
        with sidecar(tmp_path, upstream) as (_, port):
            assert reply(port, done, "Slow") == "REPLAYED"
            assert reply(port, held, "Slow") == "DUPLICATE_IN_FLIGHT"
            with closing(sqlite3.connect(tmp_path / "state.db")) as database, database:
                database.execute("UPDATE claims SET lease_ms = lease_ms - 31000")
            assert reply(port, held, "Slow") == "OUTCOME_UNKNOWN"
            assert reply(port, b'{"item": "milk"}') == '{"item": "milk"}'
