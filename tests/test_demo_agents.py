"""The demo's agents alone: called directly, with no sidecar anywhere."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from a2a.helpers import get_artifact_text, get_data_parts, get_text_parts, new_data_message, new_text_message
from a2a.types import Message, Role, SendMessageRequest, StreamResponse, TaskState, a2a_pb2_grpc
from google.protobuf.json_format import MessageToDict

from examples.agents import ask, planner, researcher, teller, writer
from examples.agents.corpus import CORPUS
from examples.agents.serve import Settings, peer_flag, read_settings, start

add_service: Callable[..., None] = a2a_pb2_grpc.add_A2AServiceServicer_to_server

BRIDGES = [fact.text for fact in CORPUS["bridges"]]


@dataclass
class Keys(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc ships no types
    """Notes the metadata keys of each call that reaches an agent."""

    seen: list[set[str]] = field(default_factory=list)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen.append({key for key, _ in details.invocation_metadata})
        return await continuation(details)


@dataclass
class Team:
    planner: str
    researcher: str
    writer: str
    stop_writer: Any


@asynccontextmanager
async def running(name: str, build: Any, **peers: str) -> AsyncIterator[tuple[str, grpc.aio.Server]]:
    server, port = await start(name, Settings("127.0.0.1:0", peers, pace_s=0.0), build)
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        await server.stop(None)


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        research, _ = await stack.enter_async_context(running("researcher", researcher.build))
        write, write_server = await stack.enter_async_context(running("writer", writer.build))
        plan, _ = await stack.enter_async_context(running("planner", planner.build, researcher=research, writer=write))
        yield Team(plan, research, write, lambda: write_server.stop(None))


@asynccontextmanager
async def stub_of(address: str) -> AsyncIterator[a2a_pb2_grpc.A2AServiceStub]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call] # generated without types


async def send(address: str, message: Message) -> Any:
    async with stub_of(address) as stub:
        return await stub.SendMessage(
            SendMessageRequest(message=message), metadata=[("a2a-version", "1.0")], timeout=10
        )


async def stream(address: str, message: Message) -> list[StreamResponse]:
    async with stub_of(address) as stub:
        request = SendMessageRequest(message=message)
        call = stub.SendStreamingMessage(request, metadata=[("a2a-version", "1.0")], timeout=10)
        return [event async for event in call]


def question(text: str, context_id: str = "") -> Message:
    return new_text_message(text, context_id=context_id or str(uuid.uuid4()), role=Role.ROLE_USER)


async def test_planner_answers_with_what_the_researcher_found_and_the_writer_wrote(team: Team) -> None:
    """One question passes all three agents, and the task ends completed in the person's own context."""
    answer = await send(team.planner, question("bridges", "context-1"))
    assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
    assert answer.task.context_id == "context-1"
    text = get_artifact_text(answer.task.artifacts[0])
    assert [fact for fact in BRIDGES if fact in text] == BRIDGES


async def test_planner_hands_each_sentence_on_as_its_own_chunk(team: Team) -> None:
    """A caller that streams sees one event a sentence: the first begins the artifact, the others add to it."""
    events = await stream(team.planner, question("bridges"))
    chunks = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert len(chunks) == len(BRIDGES) + 2
    assert [chunk.append for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    assert [chunk.last_chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def test_planner_says_so_when_nothing_is_known(team: Team) -> None:
    """An unknown topic is an answer, not a failure, and the writer has nothing to do."""
    answer = await send(team.planner, question("umbrellas"))
    assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
    assert get_artifact_text(answer.task.artifacts[0]) == "Nothing is known about 'umbrellas'."


async def test_planner_ends_its_task_as_failed_when_a_peer_is_gone(team: Team) -> None:
    """The person learns which peer it was and what gRPC said."""
    await team.stop_writer()
    answer = await send(team.planner, question("bridges"))
    assert answer.task.status.state == TaskState.TASK_STATE_FAILED
    assert get_text_parts(answer.task.status.message.parts)[0].startswith("writer: gRPC Error UNAVAILABLE")


async def test_planner_gives_the_researcher_its_context_and_the_writer_none() -> None:
    """The two ways in which a call can be joined to its cause: by ids, and by being the only candidate."""
    contexts: dict[str, str] = {}

    class Noted(a2a_pb2_grpc.A2AServiceServicer):
        def __init__(self, inner: Any, name: str) -> None:
            self.inner, self.name = inner, name

        async def SendMessage(self, request: Any, context: Any) -> Any:  # noqa: N802
            contexts[self.name] = request.message.context_id
            return await self.inner.SendMessage(request, metadata=[("a2a-version", "1.0")])

        async def SendStreamingMessage(self, request: Any, context: Any) -> Any:  # noqa: N802
            contexts[self.name] = request.message.context_id
            async for event in self.inner.SendStreamingMessage(request, metadata=[("a2a-version", "1.0")]):
                yield event

    async def noted(stack: AsyncExitStack, name: str, build: Any) -> str:
        address, _ = await stack.enter_async_context(running(name, build))
        server = grpc.aio.server()
        add_service(Noted(await stack.enter_async_context(stub_of(address)), name), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, None)
        return f"127.0.0.1:{port}"

    async with AsyncExitStack() as stack:
        peers = {
            "researcher": await noted(stack, "researcher", researcher.build),
            "writer": await noted(stack, "writer", writer.build),
        }
        address, _ = await stack.enter_async_context(running("planner", planner.build, **peers))
        await send(address, question("bridges", "context-1"))
    assert contexts == {"researcher": "context-1", "writer": ""}


async def test_agents_carry_no_trace_context() -> None:
    """What an agent sends to a peer is what the SDK's client sends, and that is no traceparent."""
    keys = Keys()
    server = grpc.aio.server(interceptors=[keys])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    peer = f"127.0.0.1:{port}"
    async with running("planner", planner.build, researcher=peer, writer=peer) as (address, _):
        await send(address, question("bridges"))
    await server.stop(None)
    assert keys.seen and all("a2a-version" in seen and "traceparent" not in seen for seen in keys.seen)


async def test_researcher_answers_with_facts_and_their_years(team: Team) -> None:
    """The data part names the topic, and each fact has its text, its year and its source."""
    answer = await send(team.researcher, new_data_message({"query": "Bridges", "limit": 2}, role=Role.ROLE_USER))
    data = get_data_parts(answer.message.parts)[0]
    assert data["topic"] == "Bridges"
    assert [fact["year"] for fact in data["facts"]] == [1937, 1998]
    assert [set(fact) for fact in data["facts"]] == [{"text", "year", "source"}] * 2


async def test_researcher_passes_on_a_year_that_was_written_in_words(team: Team) -> None:
    """The collection itself is untidy in one place; the agent neither notices nor mends it."""
    answer = await send(team.researcher, new_data_message({"query": "movable type"}, role=Role.ROLE_USER))
    years = [fact["year"] for fact in get_data_parts(answer.message.parts)[0]["facts"]]
    assert years == ["about 1040", 1377, "about 1455"]


async def test_researcher_without_a_query_knows_nothing(team: Team) -> None:
    """A message with no data part at all is answered, with no facts."""
    answer = await send(team.researcher, question("bridges"))
    assert get_data_parts(answer.message.parts) == [{"topic": "", "facts": []}]


async def test_writer_without_facts_fails_its_task(team: Team) -> None:
    """A message with no data part cannot be written from."""
    answer = await send(team.writer, question("bridges"))
    assert answer.task.status.state == TaskState.TASK_STATE_FAILED
    assert get_text_parts(answer.task.status.message.parts) == ["there is no data part to write from"]


async def test_ask_prints_the_sentences_and_exits_0(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    """The command a person tries first: the answer on stdout, one sentence a line."""
    assert await ask.show(team.planner, "bridges", "context-1") == 0
    assert capsys.readouterr().out.splitlines()[1:-1] == BRIDGES


async def test_ask_exits_1_when_the_task_failed(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed task is a failed command, and what the agent said is shown."""
    await team.stop_writer()
    assert await ask.show(team.planner, "bridges", "context-1") == 1
    assert "writer: gRPC Error UNAVAILABLE" in capsys.readouterr().out


async def test_two_agents_do_not_share_one_port(team: Team) -> None:
    """An occupied address is an error at once, not a port that two processes take calls from by turns."""
    with pytest.raises(RuntimeError):
        await start("writer", Settings(team.writer, {}, pace_s=0.0), writer.build)


def test_flags_win_over_the_environment() -> None:
    """A peer may be named either way; where both do, the command line is nearer to the person."""
    environ = {"PEER_WRITER": "127.0.0.1:1", "PEER_RESEARCHER": "127.0.0.1:2"}
    settings = read_settings("planner", ["--peer", "writer=127.0.0.1:3", "--pace-ms", "5"], environ)
    assert settings == Settings("127.0.0.1:50051", {"writer": "127.0.0.1:3", "researcher": "127.0.0.1:2"}, 0.005)


def test_planner_refuses_to_start_without_its_peers(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the peer that is missing, the flag and the variable."""
    with pytest.raises(SystemExit):
        read_settings("planner", ["--peer", "writer=127.0.0.1:3"], {}, needs=("researcher", "writer"))
    assert "--peer researcher=HOST:PORT or set PEER_RESEARCHER" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["writer", "=127.0.0.1:1", "writer="])
def test_a_peer_flag_needs_a_name_and_an_address(text: str) -> None:
    """Half a flag is refused, with what was found."""
    with pytest.raises(Exception, match="is not NAME=HOST:PORT"):
        peer_flag(text)


def test_every_fact_is_a_sentence_with_a_source() -> None:
    """What the demo shows to people is complete: a full stop, a source, a year."""
    facts = [fact for facts in CORPUS.values() for fact in facts]
    assert facts and all(fact.text.endswith(".") and fact.source and fact.year for fact in facts)


async def order(address: str, data: dict[str, Any]) -> dict[str, Any]:
    answer = await send(address, new_data_message(data, role=Role.ROLE_USER))
    return dict(get_data_parts(answer.message.parts)[0]["account"])


async def test_teller_pays_as_often_as_it_is_told() -> None:
    """It believes every message, so somebody else must keep a duplicate from it."""
    async with running("teller", teller.build) as (address, _):
        paid = [await order(address, {"do": "pay", "account": {"id": "alice"}, "amount_usd": 20}) for _ in range(2)]
    assert [(account["balance_usd"], account["version"]) for account in paid] == [(980, 2), (960, 3)]


async def test_teller_overwrites_whatever_stands_there_now() -> None:
    """It does not look at versions, so somebody else must keep a stale write from it."""
    async with running("teller", teller.build) as (address, _):
        wrote = [
            await order(address, {"do": "write", "account": {"id": "alice", "limit_usd": limit, "version": 1}})
            for limit in (500, 50)
        ]
    assert [(account["limit_usd"], account["version"]) for account in wrote] == [(500, 2), (50, 3)]


async def test_teller_says_what_its_advice_took() -> None:
    """As a model's provider would report it."""
    async with running("teller", teller.build) as (address, _):
        answer = await send(
            address, new_data_message({"do": "advise", "account": {"id": "alice"}}, role=Role.ROLE_USER)
        )
    assert MessageToDict(answer.message.metadata)["usage"]["input_tokens"] == 20_000


async def test_planner_asks_again_for_facts_that_nobody_has(team: Team) -> None:
    """Its patience is long and not endless."""
    asked = 0

    class Ignorant(researcher.Researcher):
        async def execute(self, context: Any, event_queue: Any) -> None:
            nonlocal asked
            asked += 1
            await super().execute(context, event_queue)

    async with (
        running("researcher", lambda _settings: Ignorant()) as (ignorant, _),
        running("planner", planner.build, researcher=ignorant, writer=team.writer) as (address, _),
    ):
        await send(address, new_text_message("perpetual motion", role=Role.ROLE_USER))
    assert asked == planner.PATIENCE
