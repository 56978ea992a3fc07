"""What every gRPC tool expects: health for probes, reflection for whoever has no stubs, and verifiers as they do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar.engine.specs import PanelTerms
from sidecar.v1 import verifier_pb2, verifier_pb2_grpc
from tests.admin.desk import BECAUSE, SERVICE, Desk, refused, running_desk

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_probe_needs_no_credential(tmp_path: Path):
    """It learns whether we serve, and nothing else."""
    async with running_desk(tmp_path, admin={"without": "none"}) as desk:
        stub = health_pb2_grpc.HealthStub(desk.nobody.channel)
        for service in ("", SERVICE.full_name, "grpc.health.v1.Health"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == SERVING
        unknown = await refused(stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=5))
        assert unknown.code == "NOT_FOUND"
        assert set((await stub.List(health_pb2.HealthListRequest(), timeout=5)).statuses) >= {"", SERVICE.full_name}


async def test_whoever_watches_hears_that_we_leave(tmp_path: Path):
    """Before the connection goes."""
    async with running_desk(tmp_path) as desk:
        watch = health_pb2_grpc.HealthStub(desk.nobody.channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(desk.sidecar.app.administration.stop())  # type: ignore[union-attr]
        assert (await watch.read()).status == NOT_SERVING
        await stopping


async def test_the_service_describes_itself_to_whoever_may_look(tmp_path: Path):
    """All that a tool needs to call it without our files."""
    async with running_desk(tmp_path, admin={"without": "none"}) as desk:
        stub = reflection_pb2_grpc.ServerReflectionStub(desk.nobody.channel)
        wanted = reflection_pb2.ServerReflectionRequest
        questions = [
            wanted(list_services=""),
            wanted(file_containing_symbol=SERVICE.full_name),
            wanted(file_by_filename="sidecar/v1/common.proto"),
        ]
        call = stub.ServerReflectionInfo(iter(questions), metadata=desk.reader.metadata, timeout=10)
        listed, admin, common = [answer async for answer in call]
        assert SERVICE.full_name in {each.name for each in listed.list_services_response.service}
        assert admin.file_descriptor_response.file_descriptor_proto
        assert common.file_descriptor_response.file_descriptor_proto
        assert await stub.ServerReflectionInfo(timeout=10).code() is grpc.StatusCode.UNAUTHENTICATED


class Judge(verifier_pb2_grpc.VerifierServicer):
    """Fails everything."""

    async def Describe(self, request: object, context: object) -> verifier_pb2.Description:  # noqa: N802 - of the stub
        return verifier_pb2.Description(name="judge", version="7")

    async def Verify(self, request: verifier_pb2.Evidence, context: object) -> verifier_pb2.Verdict:  # noqa: N802
        finding = {"rule": "wrong", "message": "it is wrong"}
        return verifier_pb2.Verdict(
            exchange_id=request.exchange_id, value="FAIL", score=0.1, findings=[finding], verifier="judge", version="7"
        )


async def test_verifiers_are_listed_with_what_they_said_and_change_their_mode(tmp_path: Path):
    """One that observes counts on, and refuses nothing."""
    server = aio.server()
    verifier_pb2_grpc.add_VerifierServicer_to_server(Judge(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    spec = tmp_path / "orders.yaml"
    spec.write_text("spec: orders/v1\nmatch: {callee: desk}\nverifiers: {require: [judge], timeout: 5s}\n")
    verifier = {"name": "judge", "address": f"127.0.0.1:{port}", "timeout": "5s"}
    try:
        async with running_desk(tmp_path, specs=[spec], verifiers=[verifier]) as desk:
            tail = desk.reader.Tail(kinds=["EVENT_KIND_VERDICT"])
            await tail.read()
            await desk.ask()
            given = (await tail.read()).verdict
            assert (given.verifier, given.verdict) == ("judge", "fail")
            tail.cancel()
            [listed] = (await desk.reader.ListVerifiers()).verifiers
            card = listed.scorecard
            assert (card.asked, card.failed, card.version) == (1, 1, "7")
            assert (listed.mode, listed.fail, listed.is_skipped) == ("", "open", False)
            assert 0 < card.mean_s <= card.slowest_s
            [found] = (await desk.reader.ListConversations()).conversations
            assert found.total.findings == 1
            level = {"level": "LEVEL_VERIFIER", "name": "judge", "because": BECAUSE}
            assert may_refuse(desk)
            await desk.operator.SetMode(**level, mode="MODE_OBSERVE")
            assert (await desk.reader.ListVerifiers()).verifiers[0].mode == "observe"
            assert not may_refuse(desk)
            await desk.operator.ClearMode(**level)
            assert may_refuse(desk)
    finally:
        await server.stop(0)


def may_refuse(desk: Desk) -> bool:
    """Whether the panel counts its only verifier."""
    return desk.sidecar.app.line_up.panel.may_refuse(PanelTerms(("judge",), quorum=1))
