"""The A2A pack: what the real SDK says breaks none of its rules, and each of its rules can be broken."""

from __future__ import annotations

import copy
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from a2a.helpers import new_data_message, new_text_message
from a2a.types import (
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    TaskState,
    a2a_pb2_grpc,
)
from google.protobuf.json_format import MessageToDict

from examples.agents import planner, researcher, writer
from examples.agents.corpus import CORPUS
from examples.agents.serve import Settings, start
from sidecar.engine.exchange import Mode
from sidecar.engine.specs import SpecTable
from sidecar.spec_files import load
from sidecar.spec_tools.recorded import Edge, Recorded
from sidecar.spec_tools.replay import Refused, replay

PACK = Path(__file__).parent.parent / "specs" / "a2a"
SERVICE = "/lf.a2a.v1.A2AService/"

MESSAGE = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "What holds a bridge up?"}]}
ANSWER = {**MESSAGE, "role": "ROLE_AGENT", "contextId": "c1"}
ARTIFACT = {"artifactId": "a1", "parts": [{"data": {"answer": 42}}]}
STATUS = {"state": "TASK_STATE_COMPLETED", "timestamp": "2026-01-02T03:04:05.678Z", "message": ANSWER}
TASK = {"id": "t1", "contextId": "c1", "status": STATUS, "artifacts": [ARTIFACT], "history": [MESSAGE]}
BARE_TASK = {"id": "t1", "contextId": "c1", "status": STATUS}
CONFIG = {"id": "p1", "taskId": "t1", "url": "https://h.test", "authentication": {"scheme": "Bearer"}}
SEND = {"message": {**MESSAGE, "contextId": "c1"}, "configuration": {"historyLength": 1}}
WORKING = {"state": "TASK_STATE_WORKING", "timestamp": "2026-01-02T03:04:05.678Z"}
CHUNK = {"taskId": "t1", "contextId": "c1", "artifact": ARTIFACT}
STREAM = [
    {"task": {**TASK, "status": WORKING}},
    {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": WORKING}},
    {"artifactUpdate": CHUNK},
    {"artifactUpdate": {**CHUNK, "append": True, "lastChunk": True}},
    {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": STATUS}},
]
CARD = {
    "name": "researcher",
    "description": "finds facts",
    "version": "1.0.0",
    "capabilities": {},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "supportedInterfaces": [{"url": "https://h.test", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
    "skills": [{"id": "s1", "name": "search", "description": "searches", "tags": ["facts"]}],
    "provider": {"url": "https://h.test", "organization": "O"},
    "signatures": [{"protected": "e30", "signature": "c2ln"}],
    "securitySchemes": {
        "key": {"apiKeySecurityScheme": {"location": "header", "name": "x-key"}},
        "http": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
        "oauth2": {"oauth2SecurityScheme": {"flows": {"clientCredentials": {"tokenUrl": "https://h.test"}}}},
        "oidc": {"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://h.test"}},
        "mtls": {"mtlsSecurityScheme": {}},
    },
}
GOOD: dict[str, tuple[Any, list[Any]]] = {
    "SendMessage": (SEND, [{"task": TASK}]),
    "SendStreamingMessage": (SEND, STREAM),
    "GetTask": ({"id": "t1", "historyLength": 1}, [TASK]),
    "ListTasks": (
        {"contextId": "c1", "status": "TASK_STATE_COMPLETED", "pageSize": 1, "historyLength": 1},
        [{"tasks": [BARE_TASK], "pageSize": 1, "totalSize": 1}],
    ),
    "CancelTask": ({"id": "t1"}, [TASK]),
    "SubscribeToTask": ({"id": "t1"}, STREAM),
    "CreateTaskPushNotificationConfig": (CONFIG, [CONFIG]),
    "GetTaskPushNotificationConfig": ({"taskId": "t1", "id": "p1"}, [CONFIG]),
    "ListTaskPushNotificationConfigs": ({"taskId": "t1"}, [{"configs": [CONFIG]}]),
    "DeleteTaskPushNotificationConfig": ({"taskId": "t1", "id": "p1"}, [{}]),
    "GetExtendedAgentCard": ({}, [CARD]),
}
GONE = object()

ALSO_GOOD = [
    ("SendMessage", {**SEND, "message": MESSAGE}, [{"message": ANSWER}]),
    ("SendMessage", {"message": MESSAGE}, [{"task": {**BARE_TASK, "contextId": "made-by-the-agent"}}]),
    (
        "SendMessage",
        {"message": MESSAGE, "configuration": {"returnImmediately": True}},
        [{"task": {"id": "t1", "status": {"state": "TASK_STATE_WORKING"}}}],
    ),
    ("SendStreamingMessage", SEND, [{"message": ANSWER}]),
    ("ListTasks", {"includeArtifacts": True}, [{"tasks": [TASK, TASK]}]),
    ("ListTasks", {}, [{}]),
]
"""What is unusual and allowed."""

Case = tuple[str, str, Any]
"""Method, the way to a place in `request` or in `responses[N]`, and what to put there."""

BROKEN: list[Case] = [
    ("SendMessage", "request message", GONE),
    ("SendMessage", "request message messageId", GONE),
    ("SendMessage", "request message role", GONE),
    ("SendMessage", "request message role", "ROLE_AGENT"),
    ("SendMessage", "request message parts", GONE),
    ("SendMessage", "request message parts", []),
    ("SendMessage", "request message parts 0", {"filename": "a.txt"}),
    ("SendMessage", "request message parts 0 url", "https://h.test"),
    ("SendMessage", "request configuration historyLength", -1),
    ("SendMessage", "request configuration taskPushNotificationConfig", {"id": "p1"}),
    ("SendMessage", "0 task", GONE),
    ("SendMessage", "0 message", ANSWER),
    ("SendMessage", "0", {"message": {**ANSWER, "role": "ROLE_USER"}}),
    ("SendMessage", "0", {"message": MESSAGE | {"role": "ROLE_AGENT"}}),
    ("SendMessage", "0", {"message": {**ANSWER, "contextId": "c2"}}),
    ("SendMessage", "0 task contextId", "c2"),
    ("SendMessage", "0 task status state", "TASK_STATE_WORKING"),
    ("SendMessage", "0 task history", [MESSAGE, MESSAGE]),
    ("SendMessage", "0 task history 0 role", 7),
    ("SendMessage", "0 task id", GONE),
    ("SendMessage", "0 task status", GONE),
    ("SendMessage", "0 task status state", GONE),
    ("SendMessage", "0 task status state", 99),
    ("SendMessage", "0 task status timestamp", "2026-01-02T03:04:05+01:00"),
    ("SendMessage", "0 task artifacts 0 artifactId", GONE),
    ("SendMessage", "0 task artifacts 0 parts", GONE),
    ("SendStreamingMessage", "0", STREAM[1]),
    ("SendStreamingMessage", "1", {"task": TASK}),
    ("SendStreamingMessage", "1", {"message": ANSWER}),
    ("SendStreamingMessage", "1", {}),
    ("SendStreamingMessage", "1 task", TASK),
    ("SendStreamingMessage", "0 task contextId", "c2"),
    ("SendStreamingMessage", "0", {"message": {**ANSWER, "contextId": "c2"}}),
    ("SendStreamingMessage", "1 statusUpdate contextId", "c2"),
    ("SendStreamingMessage", "2 artifactUpdate contextId", "c2"),
    *(("SendStreamingMessage", f"1 statusUpdate {name}", GONE) for name in ("taskId", "contextId", "status")),
    *(("SendStreamingMessage", f"2 artifactUpdate {name}", GONE) for name in ("taskId", "contextId", "artifact")),
    ("GetTask", "request id", GONE),
    ("GetTask", "0 id", "t2"),
    ("GetTask", "0 history", [MESSAGE, MESSAGE]),
    ("ListTasks", "request pageSize", 0),
    ("ListTasks", "request pageSize", 101),
    ("ListTasks", "0 tasks 0 artifacts", [ARTIFACT]),
    ("ListTasks", "0 tasks 1", BARE_TASK),
    ("ListTasks", "0 tasks 0 contextId", "c2"),
    ("ListTasks", "0 tasks 0 status state", "TASK_STATE_FAILED"),
    ("ListTasks", "0 tasks 0 history", [MESSAGE, MESSAGE]),
    ("CancelTask", "request id", GONE),
    ("CancelTask", "0 id", "t2"),
    ("SubscribeToTask", "request id", GONE),
    ("SubscribeToTask", "1", {"message": ANSWER}),
    ("SubscribeToTask", "0", STREAM[1]),
    ("SubscribeToTask", "0 task id", "t2"),
    ("SubscribeToTask", "1 statusUpdate taskId", "t2"),
    ("SubscribeToTask", "2 artifactUpdate taskId", "t2"),
    ("SubscribeToTask", "1 statusUpdate contextId", "c2"),
    ("SendStreamingMessage", "2 artifactUpdate taskId", "t2"),
    (
        "SendStreamingMessage",
        "2 artifactUpdate",
        {**CHUNK, "append": True, "artifact": {**ARTIFACT, "artifactId": "a2"}},
    ),
    ("SendStreamingMessage", "2 artifactUpdate lastChunk", True),
    ("SendStreamingMessage", "1 statusUpdate status state", "TASK_STATE_CANCELED"),
    ("SendStreamingMessage", "4 statusUpdate status timestamp", "2026-01-02T03:04:05.677Z"),
    ("SendStreamingMessage", "request message taskId", "t2"),
    ("CreateTaskPushNotificationConfig", "request url", GONE),
    ("CreateTaskPushNotificationConfig", "request authentication scheme", GONE),
    ("CreateTaskPushNotificationConfig", "0 id", GONE),
    ("GetTaskPushNotificationConfig", "request taskId", GONE),
    ("GetTaskPushNotificationConfig", "request id", GONE),
    ("GetTaskPushNotificationConfig", "0 id", "p2"),
    ("ListTaskPushNotificationConfigs", "request taskId", GONE),
    ("ListTaskPushNotificationConfigs", "0 configs 0 taskId", "t2"),
    ("DeleteTaskPushNotificationConfig", "request taskId", GONE),
    ("DeleteTaskPushNotificationConfig", "request id", GONE),
    *(("GetExtendedAgentCard", f"0 {name}", GONE) for name in CARD if name[:3] not in ("pro", "sig", "sec")),
    *(("GetExtendedAgentCard", f"0 provider {name}", GONE) for name in ("url", "organization")),
    *(("GetExtendedAgentCard", f"0 signatures 0 {name}", GONE) for name in ("protected", "signature")),
    *(("GetExtendedAgentCard", f"0 skills 0 {name}", GONE) for name in ("id", "name", "description", "tags")),
    *(
        ("GetExtendedAgentCard", f"0 supportedInterfaces 0 {name}", GONE)
        for name in ("url", "protocolBinding", "protocolVersion")
    ),
    ("GetExtendedAgentCard", "0 securitySchemes mtls", {}),
    ("GetExtendedAgentCard", "0 securitySchemes key apiKeySecurityScheme location", "body"),
    ("GetExtendedAgentCard", "0 securitySchemes key apiKeySecurityScheme location", GONE),
    ("GetExtendedAgentCard", "0 securitySchemes key apiKeySecurityScheme name", GONE),
    ("GetExtendedAgentCard", "0 securitySchemes http httpAuthSecurityScheme scheme", GONE),
    ("GetExtendedAgentCard", "0 securitySchemes oauth2 oauth2SecurityScheme flows", GONE),
    ("GetExtendedAgentCard", "0 securitySchemes oidc openIdConnectSecurityScheme openIdConnectUrl", GONE),
]


def recorded(method: str, request: Any, responses: list[Any]) -> Recorded:
    return Recorded("here:1", Edge("anyone", SERVICE + method), (request,), tuple(responses))


def broken(case: Case) -> Recorded:
    """A good exchange with one place of it changed."""
    method, way, value = case
    request, responses = copy.deepcopy(GOOD[method])
    holder: Any = {"request": request, **{str(index): one for index, one in enumerate(responses)}}
    keys = way.split()
    inner = holder
    for key in keys[:-1]:
        inner = inner[int(key) if isinstance(inner, list) else key]
    put(inner, keys[-1], value)
    return recorded(method, holder["request"], [holder[str(index)] for index in range(len(responses))])


def put(inner: Any, key: str, value: Any) -> None:
    if value is GONE:
        del inner[key]
    elif isinstance(inner, list):
        inner[int(key) :] = [value]
    else:
        inner[key] = value


def complaints(table: SpecTable, *exchanges: Recorded) -> list[Refused]:
    result = replay(exchanges, table)
    assert not result.uncovered
    return result.refused


@pytest.fixture(scope="module")
def pack() -> SpecTable:
    return load([PACK])


@pytest.mark.parametrize("method", GOOD)
def test_good_traffic_of_each_method_breaks_no_rule(pack: SpecTable, method: str) -> None:
    """The documents that the broken ones are made from are good themselves."""
    assert complaints(pack, recorded(method, *GOOD[method])) == []


@pytest.mark.parametrize("exchange", ALSO_GOOD, ids=lambda each: each[0])
def test_what_is_unusual_and_allowed_breaks_no_rule(pack: SpecTable, exchange: Any) -> None:
    """Optional fields stay optional, and a direct answer needs no task."""
    assert complaints(pack, recorded(*exchange)) == []


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[0]} {case[1]}")
def test_each_broken_place_is_found(pack: SpecTable, case: Case) -> None:
    """One thing wrong in an otherwise good exchange is enough."""
    assert complaints(pack, broken(case))


def test_every_method_of_the_service_has_its_spec(pack: SpecTable) -> None:
    """A new method of the protocol must not be passed over."""
    from a2a.types import a2a_pb2

    methods = {SERVICE + one.name for one in a2a_pb2.DESCRIPTOR.services_by_name["A2AService"].methods}
    assert {spec.match.method for spec in pack.specs} == methods


def test_everything_in_the_pack_observes(pack: SpecTable) -> None:
    """The pack is laid over agents that nobody checked before: it may not begin by refusing."""
    assert {spec.mode for spec in pack.specs} == {Mode.OBSERVE}


FORBIDDING = ("required", "oneOf", "enum", "const", "not", "minItems", "minimum", "maximum", "pattern", "format")


def rules_in(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all that forbids something: schemas with a `$comment`, and rules."""
    if isinstance(value, dict) and ("$comment" in value or "expr" in value):
        yield way
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield from rules_in(inner, (*way, key))


def all_rules() -> list[tuple[str, tuple[Any, ...]]]:
    files = sorted(PACK.rglob("*.yaml"))
    return [(str(file.relative_to(PACK)), way) for file in files for way in rules_in(yaml.safe_load(file.read_text()))]


@pytest.mark.parametrize(("file", "way"), all_rules(), ids=lambda part: str(part))
def test_no_rule_stands_without_a_document_that_breaks_it(
    pack: SpecTable, tmp_path: Path, file: str, way: tuple[Any, ...]
) -> None:
    """Taking any one rule away lets something through that was refused: so no rule is idle, and none is a copy."""
    copied = shutil.copytree(PACK, tmp_path / "a2a")
    data = yaml.safe_load((copied / file).read_text())
    inner = data
    for key in way:
        inner = inner[key]
    if "expr" in inner:
        inner["expr"] = "true"
    for keyword in FORBIDDING:
        inner.pop(keyword, None)
    (copied / file).write_text(yaml.safe_dump(data))
    looser = load([copied])
    assert any(len(complaints(looser, one)) < len(complaints(pack, one)) for one in map(broken, BROKEN))


def test_every_schema_that_forbids_says_where_that_comes_from() -> None:
    """A rule without its section cannot be checked against the protocol's text."""
    for file in sorted(PACK.rglob("*.yaml")):
        for schema in forbidding(yaml.safe_load(file.read_text())):
            assert schema.get("$comment", "")[:1].isdigit(), (file.name, schema)


def forbidding(value: Any, is_alternative: bool = False) -> Iterator[dict[str, Any]]:
    """Schemas that forbid by themselves; what stands inside `oneOf` and `not` belongs to the schema around it."""
    if isinstance(value, dict):
        if any(key in value for key in FORBIDDING) and not is_alternative and "spec" not in value:
            yield value
        for key, inner in value.items():
            yield from forbidding(inner, is_alternative or key in ("oneOf", "not"))
    elif isinstance(value, list):
        for inner in value:
            yield from forbidding(inner, is_alternative)


@asynccontextmanager
async def running(name: str, build: Any, **peers: str) -> AsyncIterator[str]:
    server, port = await start(name, Settings("127.0.0.1:0", peers, pace_s=0.0), build)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


class Recorder:
    """Calls an agent with the SDK's own stub and keeps what was said, in protobuf's own JSON form."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        self.exchanges: list[Recorded] = []

    async def call(self, method: str, request: Any) -> Any:
        answer = await getattr(self._stub, method)(request, metadata=[("a2a-version", "1.0")], timeout=10)
        self._keep(method, request, [answer])
        return answer

    async def stream(self, method: str, request: Any) -> None:
        call = getattr(self._stub, method)(request, metadata=[("a2a-version", "1.0")], timeout=10)
        self._keep(method, request, [event async for event in call])

    def _keep(self, method: str, request: Any, answers: list[Any]) -> None:
        self.exchanges.append(recorded(method, MessageToDict(request), [MessageToDict(one) for one in answers]))


@pytest.fixture
async def addresses() -> AsyncIterator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        research = await stack.enter_async_context(running("researcher", researcher.build))
        write = await stack.enter_async_context(running("writer", writer.build))
        plan = await stack.enter_async_context(running("planner", planner.build, researcher=research, writer=write))
        yield {"planner": plan, "researcher": research, "writer": write}


async def talked_with(address: str, talk: Callable[[Recorder], Any]) -> list[Recorded]:
    async with grpc.aio.insecure_channel(address) as channel:
        recorder = Recorder(channel)
        await talk(recorder)
        return recorder.exchanges


async def test_what_real_agents_of_the_sdk_say_breaks_no_rule(pack: SpecTable, addresses: dict[str, str]) -> None:
    """Questions answered and failed, waited for, polled, listed and streamed: the examples' agents on a real wire."""

    async def ask(recorder: Recorder) -> None:
        message = new_text_message("bridges", context_id="c1", role=Role.ROLE_USER)
        configuration = SendMessageConfiguration(history_length=1)
        answer = await recorder.call("SendMessage", SendMessageRequest(message=message, configuration=configuration))
        assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
        await recorder.stream("SendStreamingMessage", SendMessageRequest(message=fresh(message)))
        at_once = SendMessageConfiguration(return_immediately=True)
        sent = await recorder.call("SendMessage", SendMessageRequest(message=fresh(message), configuration=at_once))
        await recorder.call("GetTask", GetTaskRequest(id=sent.task.id, history_length=0))
        await recorder.call("ListTasks", ListTasksRequest(context_id="c1", page_size=2))
        await recorder.call("ListTasks", ListTasksRequest(include_artifacts=True))

    async def write(recorder: Recorder) -> None:
        facts = [{"text": fact.text, "source": fact.source} for fact in CORPUS["bridges"]]
        message = new_data_message({"topic": "bridges", "facts": facts}, role=Role.ROLE_USER)
        await recorder.stream("SendStreamingMessage", SendMessageRequest(message=message))
        nothing = new_text_message("no data part", role=Role.ROLE_USER)
        failed = await recorder.call("SendMessage", SendMessageRequest(message=nothing))
        assert failed.task.status.state == TaskState.TASK_STATE_FAILED

    exchanges = await talked_with(addresses["planner"], ask) + await talked_with(addresses["writer"], write)
    assert len(exchanges) == 8
    assert max(len(one.responses) for one in exchanges) > 4
    assert complaints(pack, *exchanges) == []


def fresh(message: Message) -> Message:
    copied = Message()
    copied.CopyFrom(message)
    copied.message_id = f"{message.message_id}-again"
    return copied
