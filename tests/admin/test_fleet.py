"""A fleet: what one sidecar is told holds in the others, and after a restart. Real processes, a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from sidecar.v1 import admin_pb2
from sidecar.v1.admin_pb2_grpc import AdminStub
from tests.admin.desk import BECAUSE, tokens_in
from tests.process.programs import Program, agent
from tests.stores.places import RedisServer

ECHO = "/t.Agent/Echo"
OPS = (("authorization", "Bearer an-operators-token-0123456789"),)
GENEROUS_S = 5.0
"""Far more than it takes: what it takes is measured by `make bench-admin`."""

SPEC = "spec: put/v1\nmatch: {callee: desk}\nrequest: {schema: {type: object, required: [item]}}\n"


@dataclass
class Member:
    """One sidecar of the fleet."""

    program: Program
    channel: grpc.Channel
    admin: AdminStub

    def refusal(self, payload: bytes = b'{"item": 1}') -> str:
        try:
            self.channel.unary_unary(ECHO)(payload, timeout=10)
        except grpc.RpcError as error:
            return str(dict(error.trailing_metadata()).get("sidecar-reply", error.code()))
        return ""


@contextmanager
def member(folder: Path, store: str, upstream: int) -> Iterator[Member]:
    """Another agent's sidecar each time would do as well: quarantines and specs are the fleet's."""
    route = {"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}", "caller": "planner", "callee": "desk"}
    tree: dict[str, Any] = {
        "agent": "desk",
        "mode": "enforce",
        "routes": [route],
        "store": store,
        "metrics": False,
        "tracing": {"exporter": "none"},
        "admin": {"listen": "127.0.0.1:0", "tokens": tokens_in(folder)},
    }
    path = folder / "sidecar.yaml"
    path.write_text(yaml.safe_dump(tree))
    program = Program("-m", "sidecar", "run", "-c", str(path))
    try:
        port = program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)")
        admin_port = program.read_until(r"admin on 127\.0\.0\.1:(\d+)")
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            grpc.insecure_channel(f"127.0.0.1:{admin_port}") as admin,
        ):
            yield Member(program, channel, AdminStub(admin))
    finally:
        program.close()


def until(is_so: Any, limit_s: float = GENEROUS_S) -> float:
    """Seconds that it took."""
    began_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_s < limit_s
        time.sleep(0.001)
    return time.monotonic() - began_s


def quarantine(member: Member, **target: Any) -> admin_pb2.Change:
    request = admin_pb2.QuarantineRequest(target=admin_pb2.Target(**target), because=BECAUSE)
    change: admin_pb2.Change = member.admin.Quarantine(request, metadata=OPS, timeout=10).change
    return change


def release(member: Member, **target: Any) -> None:
    request = admin_pb2.ReleaseRequest(target=admin_pb2.Target(**target), because=BECAUSE)
    member.admin.Release(request, metadata=OPS, timeout=10)


@pytest.fixture(params=["redis", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/state.db"
        return
    server = RedisServer(tmp_path).start()
    yield server.url
    server.stop()


def test_a_quarantine_holds_in_every_sidecar_and_after_a_restart(tmp_path: Path, store: str):
    """Told to one, in force in both within a moment; killed and started again, it still is, until it is released."""
    with agent() as (_, upstream):
        with member(tmp_path, store, upstream) as one, member(tmp_path, store, upstream) as two:
            assert (one.refusal(), two.refusal()) == ("", "")
            change = quarantine(one, agent="planner")
            assert change.reach == (admin_pb2.REACH_FLEET if store.startswith("redis") else admin_pb2.REACH_MACHINE)
            assert change.survives_restart
            assert one.refusal() == "QUARANTINED"
            until(lambda: two.refusal() == "QUARANTINED")
            two.program.kill()
        with member(tmp_path, store, upstream) as three, member(tmp_path, store, upstream) as four:
            assert three.refusal() == "QUARANTINED"
            release(four, agent="planner")
            assert four.refusal() == ""
            until(lambda: three.refusal() == "")


def test_modes_and_specs_that_were_put_hold_everywhere_and_after_a_restart(tmp_path: Path, store: str):
    """A mode in the sidecars of its agent, a spec in all."""
    with agent() as (_, upstream):
        with member(tmp_path, store, upstream) as one, member(tmp_path, store, upstream) as two:
            put = admin_pb2.PutSpecRequest(text=SPEC, because=BECAUSE)
            assert one.admin.PutSpec(put, metadata=OPS, timeout=10).change.survives_restart
            assert one.refusal(b"{}") == "REQUEST_SPEC_VIOLATION"
            until(lambda: two.refusal(b"{}") == "REQUEST_SPEC_VIOLATION")
            mode = admin_pb2.SetModeRequest(level="LEVEL_ROOT", mode="MODE_OBSERVE", because=BECAUSE)
            two.admin.SetMode(mode, metadata=OPS, timeout=10)
            assert two.refusal(b"{}") == ""
            until(lambda: one.refusal(b"{}") == "")
        with member(tmp_path, store, upstream) as three:
            assert three.refusal(b"{}") == ""
            status = three.admin.GetStatus(admin_pb2.GetStatusRequest(), timeout=10)
            assert (status.mode, list(status.put_specs)) == ("observe", ["put/v1"])
            clear = admin_pb2.ClearModeRequest(level="LEVEL_ROOT", because=BECAUSE)
            three.admin.ClearMode(clear, metadata=OPS, timeout=10)
            assert three.refusal(b"{}") == "REQUEST_SPEC_VIOLATION"


def test_an_operator_acts_while_redis_is_away(tmp_path: Path):
    """Here at once, and in the others when it is back; the answer says which it is."""
    redis = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always").start()
    with (
        agent() as (_, upstream),
        member(tmp_path, redis.url, upstream) as one,
        member(tmp_path, redis.url, upstream) as two,
    ):
        quarantine(one, agent="somebody")
        until(lambda: two.admin.ListQuarantines(admin_pb2.ListQuarantinesRequest(), timeout=10).quarantines)
        redis.kill()
        change = quarantine(one, agent="planner")
        assert change.reach == admin_pb2.REACH_PROCESS_UNTIL_STORE_RETURNS
        assert not change.survives_restart
        assert (one.refusal(), two.refusal()) == ("QUARANTINED", "")
        status = one.admin.GetStatus(admin_pb2.GetStatusRequest(), timeout=10)
        assert (status.store.is_away, status.store.untold) == (True, 1)
        assert status.problems
        redis.start()
        until(lambda: two.refusal() == "QUARANTINED", 15.0)
        until(lambda: not one.admin.GetStatus(admin_pb2.GetStatusRequest(), timeout=10).problems, 15.0)
        redis.stop()
