"""Budgets over a crash: what was spent of a purse in a file is spent after kill -9, to the micro-USD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import yaml

from tests.process.programs import Program, agent

SPEC = """
spec: worker/v1
match: {callee: worker}
cost: {estimate_usd: 0.03}
"""


@contextmanager
def sidecar(folder: Path, upstream: int) -> Iterator[tuple[Program, int]]:
    (folder / "worker.spec.yaml").write_text(SPEC)
    path = folder / "sidecar.yaml"
    tree = {
        "agent": "worker",
        "mode": "enforce",
        "routes": [{"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"}],
        "specs": [str(folder / "worker.spec.yaml")],
        "store": f"sqlite://{folder}/state.db",
        "budgets": [{"name": "all", "scope": "global", "limit_usd": 0.30}],
        "loops": False,
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


def codes(port: int, count: int) -> list[str]:
    """Of calls one after the other, each of which reports no cost and so costs its estimate."""
    said = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/t.Agent/Echo")
        for number in range(count):
            try:
                call(json.dumps({"text": f"question {number}"}).encode(), timeout=10)
            except grpc.RpcError as error:
                said.append(error.code().name)
            else:
                said.append("OK")
    return said


def test_what_was_spent_before_the_kill_is_spent_after_it(tmp_path: Path):
    """Ten calls at three cents fit into thirty. Seven before, three after, and not one more."""
    with agent() as (_, upstream):
        with sidecar(tmp_path, upstream) as (program, port):
            assert codes(port, 7) == ["OK"] * 7
            program.kill()
        with sidecar(tmp_path, upstream) as (_, port):
            assert codes(port, 5) == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"] * 2


def test_a_hold_of_a_call_that_the_kill_cut_off_is_not_free_money(tmp_path: Path):
    """Its callee may have spent it: while nobody knows, its estimate stays taken."""
    with agent() as (_, upstream):
        with sidecar(tmp_path, upstream) as (program, port):
            assert codes(port, 8) == ["OK"] * 8
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                under_way = channel.unary_unary("/t.Agent/Slow").future(b'{"text": "slow"}', timeout=10)
                assert codes(port, 2) == ["OK", "RESOURCE_EXHAUSTED"]
                program.kill()
                assert under_way.code() is not grpc.StatusCode.OK
        with sidecar(tmp_path, upstream) as (_, port):
            assert codes(port, 1) == ["RESOURCE_EXHAUSTED"]
