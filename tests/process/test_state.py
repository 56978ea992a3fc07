"""State in a file when the process that wrote it is killed: what was answered before is known after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from sidecar.stores.sqlite import open_sqlite
from sidecar.system import SystemClock
from tests.process.programs import Program, agent

WORKING, DONE = "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"


@contextmanager
def keeping(folder: Path, upstream: int) -> Iterator[tuple[Program, int]]:
    """A sidecar that enforces, with its state in a file of `folder`."""
    (folder / "task.yaml").write_text("spec: worker/v1\nmatch: {}\ntask: {}\n")
    path = folder / "sidecar.yaml"
    path.write_text(
        f"agent: worker\nmode: enforce\nroutes: [{{listen: '127.0.0.1:0', upstream: '127.0.0.1:{upstream}'}}]\n"
        "specs: [task.yaml]\nstore: 'sqlite:state.db'\nmetrics: {listen: '127.0.0.1:0'}\ntracing: {exporter: none}\n"
    )
    program = Program("-m", "sidecar", "run", "-c", str(path))
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, port
    finally:
        program.close()


def tell(port: int, *tasks: tuple[str, str]) -> None:
    """The agent echoes, so what is sent is what it says of its tasks."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for task, state in tasks:
            document = {"id": task, "status": {"state": state}}
            channel.unary_unary("/t.Agent/Echo")(json.dumps(document).encode(), timeout=5)


def test_task_states_are_as_they_were_after_the_sidecar_was_killed(tmp_path: Path):
    """An end that was told stays an end: the next process refuses to hear that the task goes on."""
    with agent() as (_, upstream):
        with keeping(tmp_path, upstream) as (program, port):
            tell(port, ("t1", WORKING), ("t1", DONE), ("t2", WORKING))
            program.kill()
        with keeping(tmp_path, upstream) as (_, port):
            with pytest.raises(grpc.RpcError) as caught:
                tell(port, ("t1", WORKING))
            tell(port, ("t2", DONE), ("t1", DONE))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert ("sidecar-reply", "ILLEGAL_TASK_TRANSITION") in tuple(caught.value.trailing_metadata())


def test_every_state_that_was_answered_before_the_kill_is_in_the_file(tmp_path: Path):
    """Killed in the middle of its work; whatever the caller has heard of is kept."""
    told = [(f"t{number}", DONE if number % 2 else WORKING) for number in range(200)]
    with agent() as (_, upstream), keeping(tmp_path, upstream) as (program, port):
        tell(port, *told)
        program.kill()

    async def kept() -> list[tuple[str, str]]:
        store = open_sqlite(tmp_path / "state.db", SystemClock())
        found = [(name, await store.tasks.known_task("worker", name)) for name, _ in told]
        await store.close()
        return [(name, known.state if known else "") for name, known in found]

    assert asyncio.run(kept()) == told
