"""Every method of the service, tried in every way in which it must not work: refused cleanly, and nothing else
disturbed. The methods are those that the service declares, so one that is added is tried as well.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from sidecar.v1 import admin_pb2
from tests.admin.desk import SERVICE, TOKENS, Desk, Operator, Refused, refused, running_desk, told, until

METHODS = [method.name for method in SERVICE.methods]
CHANGES = [
    method.name
    for method in SERVICE.methods
    if method.GetOptions().Extensions[admin_pb2.required_role] == admin_pb2.ROLE_OPERATE
]
OPS = (("authorization", f"Bearer {TOKENS['ops']}"),)
STALL_S = 30.0


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with running_desk(tmp_path) as desk:
        yield desk
        assert await desk.refusal() == ""
        status = await desk.operator.GetStatus()
        assert not (status.put_specs or status.changed_modes or any(status.quarantined.values()))


async def first(call: Any) -> Any:
    """The answer of a call, or the first one of a stream."""
    return await call.read() if hasattr(call, "read") else await call


def raw(desk: Desk, method: str, payload: bytes, metadata: Any = ()) -> Any:
    """Bytes, whatever they are."""
    name = f"/{SERVICE.full_name}/{method}"
    return desk.operator.channel.unary_unary(name)(payload, metadata=metadata, timeout=STALL_S)


def test_every_method_asks_for_a_role():
    """One that asks for none could not be served; and what changes anything asks for the higher one."""
    roles = {each.name: each.GetOptions().Extensions[admin_pb2.required_role] for each in SERVICE.methods}
    assert all(roles.values())
    looks = {name for name, role in roles.items() if role == admin_pb2.ROLE_READ}
    assert {name for name in looks if not name.startswith(("Get", "List", "Match"))} == {"Tail"}
    assert len(CHANGES) == 11


@pytest.mark.parametrize("method", METHODS)
async def test_without_a_credential_where_one_is_needed(tmp_path: Path, method: str):
    """Refused before anything of the request is read."""
    async with running_desk(tmp_path, admin={"without": "none"}) as desk:
        found = await refused(first(getattr(desk.nobody, method)()))
        assert (found.code, found.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert (await desk.reader.GetStatus()).you == "token eyes"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("header", ["Bearer a-token-that-nobody-has", "Bearer ", "", "Basic b3BzOm9wcw=="])
async def test_with_a_wrong_credential(desk: Desk, method: str, header: str):
    """Even where none would have been needed: whoever shows one wants to be known."""
    found = await refused(raw(desk, method, b"", (("authorization", header),)))
    assert (found.code, found.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


@pytest.mark.parametrize("method", CHANGES)
async def test_with_the_wrong_role(desk: Desk, method: str):
    """Loopback is shared with the agent that is policed, so being there allows no change; nor does a reader's token."""
    for operator, role in ((desk.nobody, "loopback"), (desk.reader, "token eyes")):
        found = await refused(first(getattr(operator, method)()))
        assert (found.code, found.reason) == ("PERMISSION_DENIED", "FORBIDDEN")
        assert found.facts == {"role": "read", "required": "operate"}
        assert role in found.details


@pytest.mark.parametrize("method", METHODS)
async def test_with_garbage(desk: Desk, method: str):
    """Bytes that are no request, and an end without any."""
    for payload in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x7f", os.urandom(64) + b"\x07"):
        found = await refused(raw(desk, method, payload, OPS))
        assert (found.code, found.reason) == ("INVALID_ARGUMENT", "MALFORMED")
    call = desk.operator.channel.stream_unary(f"/{SERVICE.full_name}/{method}")(metadata=OPS, timeout=STALL_S)
    await call.done_writing()
    assert (await refused(call)).reason == "MALFORMED"


@pytest.mark.parametrize("method", CHANGES)
async def test_an_empty_change_is_a_mistake_and_never_means_all(desk: Desk, method: str):
    """With the field that is missing."""
    found = await refused(first(getattr(desk.operator, method)()))
    assert (found.code, found.reason) in {("INVALID_ARGUMENT", "INVALID"), ("FAILED_PRECONDITION", "NOT_ALLOWED")}
    if found.reason == "INVALID":
        assert found.fields
        assert found.facts["field"] == found.fields[0]


@pytest.mark.parametrize("method", METHODS)
async def test_with_64_mib(desk: Desk, method: str):
    """Turned away at its length prefix; calls pass meanwhile."""
    large = asyncio.create_task(refused(raw(desk, method, b"\x0a" * (64 << 20), OPS)))
    while not large.done():
        assert await desk.refusal() == ""
    assert (await large).code == "RESOURCE_EXHAUSTED"


async def test_with_a_stall_of_30_seconds(desk: Desk):
    """All methods at once, opened and left alone. Each is given up; meanwhile others are served, and calls pass."""
    stalled = [stall(desk.operator, method) for method in METHODS]
    ended = [asyncio.create_task(refused(call)) for call in stalled]
    await asyncio.sleep(0.5)
    assert (await desk.reader.GetStatus()).agent == "desk"
    assert await desk.refusal() == ""
    found: list[Refused] = await asyncio.wait_for(asyncio.gather(*ended), STALL_S)
    assert {each.reason for each in found} == {"STALLED"}
    assert {each.code for each in found} == {"DEADLINE_EXCEEDED"}


def stall(operator: Operator, method: str) -> Any:
    """Opened, and nothing sent."""
    return operator.channel.stream_unary(f"/{SERVICE.full_name}/{method}")(metadata=operator.metadata, timeout=60)


async def test_those_without_a_credential_cannot_keep_an_operator_out(desk: Desk):
    """They have a few places of their own; whoever comes on top is told to come again."""
    stalled = [asyncio.create_task(refused(stall(desk.nobody, "GetStatus"))) for _ in range(12)]
    await until(lambda: sum(each.done() for each in stalled) == 4)
    busy = [await each for each in stalled if each.done()]
    assert {(each.code, each.reason) for each in busy} == {("RESOURCE_EXHAUSTED", "BUSY")}
    assert all(each.retry_delay_s for each in busy)
    assert (await desk.operator.GetStatus()).role == admin_pb2.ROLE_OPERATE
    for each in stalled:
        each.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)


async def test_those_without_a_credential_are_answered_only_so_often(desk: Desk):
    """A list costs more than a call does, and the agent that is policed may ask for it in a loop."""
    found: list[str] = []
    while "BUSY" not in found:
        found += await asyncio.gather(*(attempt(desk.nobody) for _ in range(8)))
        assert len(found) < 10_000
    assert found.count("") >= 40
    assert await attempt(desk.reader) == ""
    await asyncio.sleep(0.2)
    assert await attempt(desk.nobody) == ""


async def attempt(operator: Operator) -> str:
    """The reason of a refusal; empty where it is answered."""
    try:
        await operator.ListEdges()
    except aio.AioRpcError as error:
        return told(error).reason
    return ""


async def test_wrong_credentials_are_answered_ever_more_shortly_and_a_right_one_still_is(desk: Desk):
    """On loopback others share the address, so a flood of wrong tokens must not keep the right one out."""
    wrong = Operator(desk.operator.channel, "wrong-wrong-wrong-wrong")
    found = [await refused(wrong.GetStatus()) for _ in range(13)]
    assert [each.reason for each in found] == ["UNAUTHENTICATED"] * 10 + ["TOO_MANY_FAILURES"] * 3
    assert found[-1].retry_delay_s
    assert (await desk.operator.GetStatus()).you == "token ops"


async def test_what_is_not_declared_is_not_served(desk: Desk):
    """Neither another method nor another service."""
    for name in (f"/{SERVICE.full_name}/Stop", "/other.Service/Get"):
        with pytest.raises(aio.AioRpcError) as caught:
            await desk.operator.channel.unary_unary(name)(b"", timeout=5)
        assert caught.value.code().name == "UNIMPLEMENTED"
        assert told(caught.value).reason == ""
