"""The panel in front of real verifiers: good ones, and every way of being bad that a network offers."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from prometheus_client import CollectorRegistry

from sidecar.engine.exchange import Mode
from sidecar.engine.specs.spec import PanelTerms
from sidecar.engine.verdict import Evidence, Failure, Opinion, PanelVerdict, Value, combined
from sidecar.panel import BacklogLimits, VerifierPanel, VerifierSettings
from sidecar.panel.breaker import Breaker
from sidecar.system import SystemClock
from sidecar.telemetry.money_metrics import MoneyMetrics
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.testing import ManualClock
from sidecar.tls import ClientTls
from sidecar.v1 import common_pb2, verifier_pb2, verifier_pb2_grpc
from tests.transparency.certs import SERVER_NAME, make_tls_files

PASS, FAIL, DOUBT = verifier_pb2.Verdict.PASS, verifier_pb2.Verdict.FAIL, verifier_pb2.Verdict.INCONCLUSIVE
TIMEOUT_S = 0.3
DEFAULTS = BacklogLimits()
PATIENT_S = 10.0
"""The time-out where none should be reached."""
SLACK_S = 0.7
"""What a busy machine may add to a time-out."""

EVIDENCE = Evidence(
    exchange_id="exchange-1",
    caller="planner",
    callee="researcher",
    method="/a.B/C",
    spec="researcher/v1",
    trace_id="ab" * 16,
    request={"q": 1},
    response={"n": 2**70},
    size_bytes=20,
)

Answer = Callable[[Any], Awaitable[Any]]


@dataclass
class Verifier(verifier_pb2_grpc.VerifierServicer):
    """A verifier whose answer is a function of the evidence. It keeps what it was shown."""

    answer: Answer
    family: str = ""
    max_evidence_bytes: int = 0
    shown: list[Any] = field(default_factory=list)
    described: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""
    name: str = ""

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        self.described += 1
        return verifier_pb2.Description(
            name=self.name, version="7", family=self.family, max_evidence_bytes=self.max_evidence_bytes
        )

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        self.shown.append(request)
        self.asked.set()
        return await self.answer(request)


def says(value: int, **more: Any) -> Answer:
    async def answer(evidence: Any) -> Any:
        given = {"exchange_id": evidence.exchange_id, "score": 1.0} | more
        return verifier_pb2.Verdict(value=value, **given)

    return answer


def slowly(seconds: float, answer: Answer) -> Answer:
    async def late(evidence: Any) -> Any:
        await asyncio.sleep(seconds)
        return await answer(evidence)

    return late


async def hangs(evidence: Any) -> Any:
    await asyncio.Event().wait()


async def raises(evidence: Any) -> Any:
    raise RuntimeError("broken inside")


@asynccontextmanager
async def served(*verifiers: Verifier, port: int = 0) -> AsyncIterator[None]:
    servers = []
    for verifier in verifiers:
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        verifier_pb2_grpc.add_VerifierServicer_to_server(verifier, server)
        verifier.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        await server.start()
        servers.append(server)
    try:
        yield
    finally:
        await asyncio.gather(*(server.stop(None) for server in servers))


@dataclass
class Bench:
    """A panel at work, and what it counted."""

    panel: VerifierPanel
    registry: CollectorRegistry
    told: list[PanelVerdict | None] = field(default_factory=list)

    async def ask(self, terms: PanelTerms | None = None, evidence: Evidence = EVIDENCE, **more: Any) -> PanelVerdict:
        return await self.panel.ask(evidence, terms or terms_of(**more), self.told.append)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"sidecar_{name}", labels) or 0.0


def terms_of(*require: str, quorum: int = 1, **more: Any) -> PanelTerms:
    given = {"mode": None, "timeout_s": None, "when": "inline", "sample": 1.0, "parameters": {}} | more
    return PanelTerms(require=require or ("v0",), quorum=quorum, **given)


def settings(verifier: Verifier, name: str, **more: Any) -> VerifierSettings:
    return VerifierSettings(name, verifier.address, **({"timeout_s": PATIENT_S} | more))


@asynccontextmanager
async def bench(
    *verifiers: Verifier | VerifierSettings, limits: BacklogLimits = DEFAULTS, clock: Any = None, **more: Any
) -> AsyncIterator[Bench]:
    """v0, v1, v2 ...: served where they are verifiers, dialled where they are settings."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(served(*(each for each in verifiers if isinstance(each, Verifier))))
        every = [
            settings(each, f"v{index}", **more) if isinstance(each, Verifier) else each
            for index, each in enumerate(verifiers)
        ]
        registry = CollectorRegistry()
        metrics = PanelMetrics(registry, [each.name for each in every], spent=MoneyMetrics(registry, {}).cost_settled)
        panel = VerifierPanel(every, clock=clock or SystemClock(), reporter=metrics, backlog=limits)
        stack.push_async_callback(panel.drain, 0)
        yield Bench(panel, registry)


def opinion(name: str, value: Value, **more: Any) -> Opinion:
    return Opinion(name, value, **more)


def three(*values: Value, **more: Any) -> list[Opinion]:
    return [opinion(f"v{index}", value, **more) for index, value in enumerate(values)]


# --- What a panel makes of its opinions ------------------------------------------------------------------------------

P, I, F = Value.PASS, Value.INCONCLUSIVE, Value.FAIL  # noqa: E741 - the table below reads by its letters


@pytest.mark.parametrize(
    ("values", "quorum", "panel"),
    [
        ((P, P, P), 3, P),
        ((P, P, I), 2, P),
        ((P, I, I), 2, I),
        ((P, P, I), 3, I),
        ((I, I, I), 1, I),
        ((P, P, F), 2, F),
        ((P, I, F), 1, F),
        ((F, F, F), 1, F),
        ((P,), 5, P),
        ((P,), 0, P),
        ((I,), 0, I),
        ((), 0, I),
    ],
)
def test_a_fail_outweighs_all_and_only_a_quorum_of_passes_is_a_pass(values: Any, quorum: int, panel: Value):
    """Each row of the table in the docs. A quorum of nought, and of nobody, is never a pass for nothing."""
    assert combined(three(*values), quorum).value is panel


def test_verifiers_of_one_family_count_once_towards_a_quorum():
    """Two copies of one method agree with each other whatever the truth is."""
    alike = three(P, P, family="regex")
    assert combined(alike, 2).value is I
    assert combined(alike, 2).doubt == "quorum"
    assert combined([*alike, opinion("v2", P, family="model")], 2).value is P


def test_a_verifier_in_observe_neither_helps_nor_harms():
    """Its pass fills no quorum, its fail fails nothing, and its absence does not make a quorum out of reach."""
    observer = replace(opinion("new", F), mode=Mode.OBSERVE)
    assert combined([opinion("old", P), observer], 2).value is P
    assert combined([opinion("old", I), replace(observer, value=P)], 1).value is I


def test_a_panel_of_observers_is_heard_as_if_they_counted():
    """Otherwise a roll-out in observe would never show what enforcing does."""
    assert combined(three(P, F, P, mode=Mode.OBSERVE), 2).value is F


def test_the_two_that_pass_dissent_from_a_panel_that_fails():
    """A split of two to one is kept; one that never answered does not dissent, and is missing from the coverage."""
    verdict = combined([*three(P, P, F), opinion("v3", I, failure=Failure.TIMED_OUT)], 2)
    assert [each.verifier for each in verdict.dissent] == ["v0", "v1"]
    assert verdict.coverage == 0.75


def test_only_one_in_doubt_that_fails_closed_closes_an_inconclusive_panel():
    """Whoever gave a verdict is not to blame for the one who did not."""
    closed_pass, open_doubt = opinion("v0", P, fail="closed"), opinion("v1", I, failure=Failure.TIMED_OUT)
    assert not combined([closed_pass, open_doubt], 2).fails_closed
    assert combined([closed_pass, replace(open_doubt, fail="closed")], 2).fails_closed
    assert not combined([closed_pass, opinion("v2", P)], 2).fails_closed


# --- Real verifiers that do their work -------------------------------------------------------------------------------


async def test_a_verifier_is_shown_the_evidence_and_its_own_parameters():
    """Documents, names and parameters, each parameter for the verifier it was written for."""
    good, other = Verifier(says(PASS)), Verifier(says(PASS))
    async with bench(good, other) as at:
        await at.ask(terms_of("v0", "v1", parameters={"v0": {"rubric": "be exact"}}))
    shown = good.shown[0]
    assert (shown.exchange_id, shown.edge.caller, shown.spec) == ("exchange-1", "planner", "researcher/v1")
    assert (shown.request_json, shown.response_json) == (b'{"q":1}', b'{"n": %d}' % 2**70)
    assert dict(shown.parameters) == {"rubric": "be exact"}
    assert dict(other.shown[0].parameters) == {}


async def test_a_fail_carries_what_does_not_hold():
    """Rule, sentence and pointer come from the verifier, on one line and cut to a size."""
    wrong = common_pb2.Finding(rule="invented", message="42 is\nnowhere" + "!" * 999, pointer="/n")
    async with bench(Verifier(says(FAIL, score=0.2, findings=[wrong], version="9"))) as at:
        verdict = await at.ask()
    told = verdict.opinions[0]
    assert (verdict.value, told.score, told.version) == (F, 0.2, "9")
    assert told.findings[0].message.startswith("42 is nowhere!")
    assert len(told.findings[0].message) == 300


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        (None, None),
        (
            {"model": "m", "input_tokens": 7, "output_tokens": 2, "cost_micro_usd": 30, "is_priced": True},
            (30, "reported"),
        ),
        ({"model": "m", "input_tokens": 7, "output_tokens": 2, "cost_micro_usd": 30}, (0, "unknown")),
        ({"input_tokens": -7, "output_tokens": -2, "cost_micro_usd": -30, "is_priced": True}, (0, "reported")),
    ],
)
async def test_what_a_verdict_cost_is_known(said: Any, cost: Any):
    """It is money of ours, whoever spends it; less than nothing is not believed."""
    more = {} if said is None else {"usage": verifier_pb2.Usage(**said)}
    async with bench(Verifier(says(PASS, **more))) as at:
        verdict = await at.ask()
    found = verdict.opinions[0].cost
    labels = {
        "agent": "verifier:v0",
        "model": (said or {}).get("model") or "_unknown",
        "source": cost[1] if cost else "",
    }
    counted = at.registry.get_sample_value("sidecar_cost_usd_total", labels)
    assert counted == (None if cost is None else pytest.approx(cost[0] / 1e6))
    assert (None if found is None else (found.micro_usd, found.source.value)) == cost
    if found is not None:
        assert (found.usage.input_tokens or 0) >= 0


async def test_three_slow_verifiers_take_the_time_of_one():
    """They are asked at once: a panel of three adds one round trip."""
    slow = [Verifier(slowly(0.3, says(PASS)), family=f"f{index}") for index in range(3)]
    async with bench(*slow) as at:
        began = time.monotonic()
        verdict = await at.ask(terms_of("v0", "v1", "v2", quorum=3))
        took_s = time.monotonic() - began
    assert verdict.value is P
    assert 0.29 < took_s < 0.8


async def test_a_split_panel_counts_its_dissent():
    """Two pass, one fails: the panel fails, and both passes are counted as dissent."""
    async with bench(Verifier(says(PASS)), Verifier(says(PASS)), Verifier(says(FAIL))) as at:
        verdict = await at.ask(terms_of("v0", "v1", "v2", quorum=2))
    assert verdict.value is F
    dissent = [at.counted("verifier_dissent_total", verifier=f"v{index}") for index in range(3)]
    assert dissent == [1, 1, 0]


async def test_families_come_from_descriptions_asked_once_a_connection():
    """Two of one family do not fill a quorum of two; ten questions cost one description each."""
    pair = [Verifier(says(PASS), family="regex"), Verifier(says(PASS), family="regex")]
    async with bench(*pair) as at:
        verdicts = [await at.ask(terms_of("v0", "v1", quorum=2)) for _ in range(5)]
    assert {verdict.value for verdict in verdicts} == {I}
    assert [each.described for each in pair] == [1, 1]
    assert verdicts[0].opinions[0].version == "7"


async def test_a_verifier_that_comes_back_as_another_is_described_again():
    """A restart may bring another method to the same address; the first pass after it counts for the new family."""
    first, second = Verifier(says(PASS), family="old"), Verifier(says(PASS), family="new")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(AsyncExitStack())
        await server.enter_async_context(served(first))
        at = await stack.enter_async_context(bench(settings(first, "v0", timeout_s=5.0)))
        assert (await at.ask()).opinions[0].family == "old"
        await server.aclose()
        assert (await at.ask()).opinions[0].failure is Failure.UNREACHABLE
        await stack.enter_async_context(served(second, port=int(first.address.rpartition(":")[2])))
        async with asyncio.timeout(10):
            while (verdict := await at.ask()).value is not P:
                await asyncio.sleep(0.05)
    assert verdict.opinions[0].family == "new"


async def test_evidence_larger_than_a_verifier_takes_is_not_sent():
    """It said so in its description. Being asked too much is no failure of the verifier's health."""
    small = Verifier(says(FAIL), max_evidence_bytes=100_000)
    async with bench(small, breaker_failures=1) as at:
        assert (await at.ask()).value is F
        async with asyncio.timeout(5):
            while at.panel._seats["v0"]._descriptions.known is None:
                await asyncio.sleep(0.01)
        verdict = await at.ask(evidence=replace(EVIDENCE, response="x" * 200_000))
        assert verdict.opinions[0].failure is Failure.DECLINED
        assert len(small.shown) == 1
        assert at.counted("breaker_open", target="verifier:v0") == 0


async def test_a_verifier_behind_mutual_tls_is_asked(tmp_path: Path):
    """Both sides show certificates of one authority; without ours, the verifier is out of reach."""
    files = make_tls_files(tmp_path)
    server = aio.server()
    verifier_pb2_grpc.add_VerifierServicer_to_server(Verifier(says(PASS)), server)
    port = server.add_secure_port("127.0.0.1:0", files.server_credentials(wants_client=True))
    await server.start()
    cert, key = files.client.cert.read_bytes(), files.client.key.read_bytes()
    ours = ClientTls(files.ca.read_bytes(), cert, key, SERVER_NAME)
    known = VerifierSettings("known", f"127.0.0.1:{port}", timeout_s=PATIENT_S, tls=ours)
    stranger = replace(known, name="stranger", tls=replace(ours, cert=None, key=None))
    try:
        async with bench(known, stranger) as at:
            verdict = await at.ask(terms_of("known", "stranger", quorum=2))
    finally:
        await server.stop(None)
    assert [each.value for each in verdict.opinions] == [P, I]
    assert verdict.opinions[1].failure is Failure.UNREACHABLE


# --- The spec's own schemas ------------------------------------------------------------------------------------------

SCHEMAS = {"response_schema": '{"required": ["n"]}', "request_parts": "[]"}
STREAMED = replace(EVIDENCE, response={"task": {}}, last_message={"statusUpdate": {}})


@pytest.mark.parametrize(
    ("configured", "described", "family", "is_handed_over"),
    [
        ("schema", "", "", True),
        ("forms", "schema", "", True),
        ("forms", "forms", "json-schema", True),
        ("forms", "forms", "schema", True),
        ("forms", "grounding", "", False),
        ("forms", "forms", "json-schema-like", False),
    ],
)
async def test_a_schema_verifier_is_handed_the_specs_schemas(
    configured: str, described: str, family: str, is_handed_over: bool
):
    """By its configured name, or as it describes itself, from the first question on. Nobody else sees them."""
    verifier = Verifier(says(PASS), family=family, name=described)
    async with served(verifier), bench(settings(verifier, configured)) as at:
        verdicts = [await at.ask(terms_of(configured, schemas=SCHEMAS)) for _ in range(2)]
    assert [dict(shown.parameters) for shown in verifier.shown] == [SCHEMAS if is_handed_over else {}] * 2
    assert [verdict.opinions[0].judged_schemas for verdict in verdicts] == [is_handed_over] * 2


async def test_parameters_that_the_spec_writes_for_it_win():
    """Then it judges other schemas than the sidecar does, and its verdict is not compared."""
    verifier = Verifier(says(PASS))
    own = {"response_schema": "{}"}
    async with served(verifier), bench(settings(verifier, "schema")) as at:
        verdict = await at.ask(terms_of("schema", schemas=SCHEMAS, parameters={"schema": own}))
        other = await at.ask(terms_of("schema", schemas=SCHEMAS, parameters={"schema": {"strictness": "high"}}))
    assert [dict(shown.parameters) for shown in verifier.shown] == [own, {**SCHEMAS, "strictness": "high"}]
    assert (verdict.opinions[0].judged_schemas, other.opinions[0].judged_schemas) == (False, True)


async def test_of_a_stream_a_schema_verifier_is_shown_the_last_message():
    """Terms are about messages; all others are shown what the stream has told."""
    schema, other = Verifier(says(PASS)), Verifier(says(PASS), family="other")
    async with served(schema, other), bench(settings(schema, "schema"), settings(other, "other")) as at:
        await at.ask(terms_of("schema", "other", schemas=SCHEMAS), evidence=STREAMED)
    assert (schema.shown[0].response_json, other.shown[0].response_json) == (b'{"statusUpdate":{}}', b'{"task":{}}')


async def test_a_description_that_does_not_come_leaves_time_for_the_verdict():
    """A quarter of it at most is waited, and then the question goes out without schemas."""

    class Secretive(Verifier):
        async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
            await asyncio.Event().wait()

    verifier = Secretive(says(FAIL))
    async with bench(verifier, timeout_s=2.0) as at:
        began = time.monotonic()
        verdict = await at.ask(schemas=SCHEMAS)
        took_s = time.monotonic() - began
    assert (verdict.value, dict(verifier.shown[0].parameters)) == (F, {})
    assert took_s < 0.5 + SLACK_S


# --- Answers that were cut off ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "value", "failure"), [(PASS, I, Failure.CUT_OFF), (DOUBT, I, None), (FAIL, F, None)]
)
async def test_an_answer_that_was_cut_off_can_fail_but_not_pass(answer: int, value: Value, failure: Failure | None):
    """Nobody has seen the rest. The verifier is told, and its breaker holds nothing against it."""
    verifier = Verifier(says(answer))
    async with bench(verifier, breaker_failures=1) as at:
        verdicts = [await at.ask(evidence=replace(EVIDENCE, is_cut_off=True)) for _ in range(2)]
    assert [(verdict.value, verdict.opinions[0].failure) for verdict in verdicts] == [(value, failure)] * 2
    assert [shown.is_cut_off for shown in verifier.shown] == [True] * 2


async def test_a_schema_verifier_sees_all_that_it_judges_of_an_answer_that_was_cut_off():
    """It judges the last message, which is never cut."""
    verifier = Verifier(says(PASS))
    async with served(verifier), bench(settings(verifier, "schema")) as at:
        verdict = await at.ask(terms_of("schema", schemas=SCHEMAS), evidence=replace(STREAMED, is_cut_off=True))
    assert verdict.value is P
    assert [shown.is_cut_off for shown in verifier.shown] == [False]


# --- Real verifiers that do anything but -----------------------------------------------------------------------------


async def serve_garbage(stack: AsyncExitStack) -> str:
    """Speaks gRPC, but its verdicts are bytes that no verdict has."""

    async def garbage(request: bytes, context: Any) -> bytes:
        return b"\xff\xff\xff no protobuf"

    handler = grpc.unary_unary_rpc_method_handler(garbage)
    server = aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("sidecar.v1.Verifier", {"Verify": handler, "Describe": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return f"127.0.0.1:{port}"


async def serve_noise(stack: AsyncExitStack) -> str:
    """Accepts connections and speaks no HTTP/2."""

    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(noise, "127.0.0.1", 0)
    stack.callback(server.close)
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def serve_silence(stack: AsyncExitStack) -> str:
    """Accepts connections and never says a word."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"127.0.0.1:{listening.getsockname()[1]}"


async def serve_nobody(stack: AsyncExitStack) -> str:
    """A port that refuses: it was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


DYING = """
import os
from concurrent import futures
import grpc
from sidecar.v1 import verifier_pb2_grpc

class Dying(verifier_pb2_grpc.VerifierServicer):
    def Verify(self, request, context):
        os._exit(1)

server = grpc.server(futures.ThreadPoolExecutor(2))
verifier_pb2_grpc.add_VerifierServicer_to_server(Dying(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


async def serve_death(stack: AsyncExitStack) -> str:
    """A process of its own that dies in the middle of the question."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    stack.push_async_callback(process.wait)
    stack.callback(lambda: process.returncode is None and process.kill())
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("serve", "failures"),
    [
        (serve_garbage, {Failure.GARBAGE}),
        (serve_noise, {Failure.UNREACHABLE, Failure.TIMED_OUT}),
        (serve_silence, {Failure.TIMED_OUT}),
        (serve_nobody, {Failure.UNREACHABLE}),
        (serve_death, {Failure.UNREACHABLE, Failure.TIMED_OUT}),
    ],
)
async def test_what_is_no_verifier_is_doubt_in_time(serve: Any, failures: set[Failure]):
    """Whatever is at the address, the opinion is inconclusive, in time, and counted."""
    async with AsyncExitStack() as stack:
        dialled = VerifierSettings("v0", await serve(stack), timeout_s=TIMEOUT_S)
        at = await stack.enter_async_context(bench(dialled))
        began = time.monotonic()
        verdict = await at.ask()
        took_s = time.monotonic() - began
        assert verdict.value is I
        assert verdict.opinions[0].failure in failures
        assert took_s < TIMEOUT_S + SLACK_S
        assert at.counted("verdicts_total", verifier="v0", verdict="inconclusive") == 1
        assert at.counted("verifier_failures_total", verifier="v0", reason=verdict.opinions[0].failure) == 1
        assert at.counted("verifier_duration_seconds_count", verifier="v0") == 1
        assert at.counted("verdicts_total", verifier="v0", verdict="pass") == 0


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (hangs, Failure.TIMED_OUT),
        (slowly(TIMEOUT_S + 0.2, says(PASS)), Failure.TIMED_OUT),
        (slowly(10, says(PASS)), Failure.TIMED_OUT),
        (raises, Failure.CRASHED),
        (says(PASS, exchange_id="exchange-2"), Failure.WRONG_EXCHANGE),
        (says(0), Failure.UNDEFINED_VALUE),
        (says(7), Failure.UNDEFINED_VALUE),
        (says(PASS, score=1.01), Failure.BAD_SCORE),
        (says(PASS, score=-0.01), Failure.BAD_SCORE),
        (says(PASS, score=float("nan")), Failure.BAD_SCORE),
        (says(DOUBT), None),
    ],
    ids=["hangs", "late", "slow", "raises", "wrong id", "no value", "value 7", "1.01", "-0.01", "nan", "unsure"],
)
async def test_an_answer_that_is_none_is_doubt_in_time(answer: Answer, failure: Failure | None):
    """Late, empty, foreign or out of range: never a pass, never longer than the time-out."""

    async def answered(evidence: Any) -> Any:
        return await answer(evidence)

    limit_s = TIMEOUT_S if failure is Failure.TIMED_OUT else PATIENT_S
    async with bench(Verifier(answered), timeout_s=limit_s) as at:
        began = time.monotonic()
        verdict = await at.ask()
        took_s = time.monotonic() - began
    assert (verdict.value, verdict.opinions[0].failure) == (I, failure)
    assert took_s < limit_s + SLACK_S
    assert at.counted("verdicts_total", verifier="v0", verdict="inconclusive") == 1


async def test_the_panel_deadline_cuts_a_patient_verifier_short():
    """The shorter of the spec's deadline and the verifier's own time-out holds."""
    async with bench(Verifier(hangs), timeout_s=30.0) as at:
        began = time.monotonic()
        verdict = await at.ask(terms_of(timeout_s=0.2))
    assert verdict.opinions[0].failure is Failure.TIMED_OUT
    assert time.monotonic() - began < 0.2 + SLACK_S


async def test_a_bad_neighbour_leaves_good_verdicts_alone():
    """One that hangs costs its own opinion; the quorum of the others stands."""
    good = [Verifier(says(PASS), family="a"), Verifier(says(PASS), family="b")]
    async with bench(*good, Verifier(hangs), timeout_s=1.0) as at:
        verdict = await at.ask(terms_of("v0", "v1", "v2", quorum=2))
    assert verdict.value is P
    assert [each.value for each in verdict.opinions] == [P, P, I]


async def test_a_pass_without_a_description_counts_only_where_there_is_none():
    """UNIMPLEMENTED goes by the configured name. One that hides its family could be counted twice, so it is doubt."""

    class Undescribed(Verifier):
        async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    class Hiding(Verifier):
        async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
            await context.abort(grpc.StatusCode.INTERNAL, "")

    async with bench(Undescribed(says(PASS)), Hiding(says(PASS)), Hiding(says(FAIL))) as at:
        verdict = await at.ask(terms_of("v0", "v1", "v2"))
    assert [each.value for each in verdict.opinions] == [P, I, F]
    assert verdict.opinions[0].family == "v0"
    assert verdict.opinions[1].failure is Failure.UNDESCRIBED


async def test_a_verifier_nobody_configured_is_doubt():
    """A reloaded spec may name one; it makes no series, for only the configuration may."""
    async with bench(Verifier(says(PASS))) as at:
        verdict = await at.ask(terms_of("v0", "ghost", quorum=2))
    assert (verdict.value, verdict.doubt) == (I, Failure.UNKNOWN)
    assert (
        at.registry.get_sample_value("sidecar_verdicts_total", {"verifier": "ghost", "verdict": "inconclusive"}) is None
    )


async def test_what_cannot_be_read_is_doubt_and_nobody_is_asked():
    """An answer that does not parse must not be the way round every verifier."""
    good = Verifier(says(PASS))
    async with bench(good) as at:
        verdict = await at.ask(evidence=replace(EVIDENCE, is_readable=False))
    assert (verdict.value, verdict.doubt, good.shown) == (I, Failure.UNREADABLE, [])


# --- The breaker -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
def test_the_breaker_opens_with_the_last_failure_of_a_row(limit: int):
    """One fewer leaves it closed, a success in between starts the row anew, and each change is told once."""
    told: list[bool] = []
    breaker = Breaker(ManualClock(), failures=limit, cooldown_s=30, changed=told.append)
    for _ in range(limit - 1):
        breaker.failed()
    breaker.succeeded()
    for _ in range(limit - 1):
        breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    breaker.failed()
    assert told == [True]


def test_after_the_cool_down_one_probe_decides():
    """A failing probe starts the cool-down anew, an abandoned one leaves its place, a good one closes the breaker."""
    clock, told = ManualClock(), []
    breaker = Breaker(clock, failures=1, cooldown_s=30, changed=told.append)
    breaker.failed()
    clock.advance(29.9)
    assert not breaker.admits()
    clock.advance(0.1)
    assert (breaker.admits(), breaker.admits()) == (True, False)
    breaker.failed()
    clock.advance(29.9)
    assert not breaker.admits()
    clock.advance(0.1)
    assert breaker.admits()
    breaker.abandoned()
    assert breaker.admits()
    breaker.succeeded()
    assert (breaker.admits(), breaker.admits()) == (True, True)
    assert told == [True, False]


async def test_a_verifier_that_keeps_failing_is_skipped_then_tried_again():
    """Skipped means: not asked, no delay, inconclusive, and visible in both metrics."""
    clock = ManualClock()
    moods = iter([raises, raises, says(PASS)])
    verifier = Verifier(lambda evidence: next(moods)(evidence))
    async with bench(verifier, clock=clock, breaker_failures=2, breaker_cooldown_s=30) as at:
        assert [(await at.ask()).opinions[0].failure for _ in range(4)] == [
            Failure.CRASHED,
            Failure.CRASHED,
            Failure.BREAKER_OPEN,
            Failure.BREAKER_OPEN,
        ]
        assert len(verifier.shown) == 2
        assert at.counted("breaker_open", target="verifier:v0") == 1
        assert at.counted("verdicts_total", verifier="v0", verdict="inconclusive") == 4
        assert at.counted("verifier_failures_total", verifier="v0", reason="breaker_open") == 2
        assert at.counted("verifier_duration_seconds_count", verifier="v0") == 2
        clock.advance(30)
        assert (await at.ask()).value is P
        assert at.counted("breaker_open", target="verifier:v0") == 0


async def test_a_caller_who_leaves_takes_the_question_back():
    """The verifier hears of it, and its breaker holds nothing against it."""
    left = asyncio.Event()

    async def waits(evidence: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    verifier = Verifier(waits)
    async with bench(verifier, timeout_s=30.0, breaker_failures=1) as at:
        asking = asyncio.create_task(at.ask())
        await asyncio.wait_for(verifier.asked.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(left.wait(), 5)
        assert at.counted("breaker_open", target="verifier:v0") == 0


# --- Beside the call -------------------------------------------------------------------------------------------------


async def test_observers_of_a_held_panel_keep_nobody_waiting():
    """A slow verifier that is being tried out delays no call; what it says is told, and its dissent is counted."""
    gate = asyncio.Event()

    async def gated(evidence: Any) -> Any:
        await gate.wait()
        return await says(FAIL)(evidence)

    new = Verifier(gated)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(served(new))
        old = Verifier(says(PASS))
        await stack.enter_async_context(served(old))
        both = [settings(old, "old"), settings(new, "new", mode=Mode.OBSERVE, timeout_s=10.0)]
        at = await stack.enter_async_context(bench(*both))
        verdict = await at.ask(terms_of("old", "new", quorum=2))
        assert (verdict.value, [each.verifier for each in verdict.opinions]) == (P, ["old"])
        gate.set()
        async with asyncio.timeout(5):
            while not at.told:
                await asyncio.sleep(0.01)
        assert [each.value for each in at.told[0].opinions] == [F]
        assert at.counted("verifier_dissent_total", verifier="new") == 1


async def test_a_full_backlog_drops_what_comes_and_says_so():
    """One is asked, one waits, the third has no room: told at once, and asked of nobody."""
    gate = asyncio.Event()

    async def gated(evidence: Any) -> Any:
        await gate.wait()
        return await says(PASS)(evidence)

    verifier = Verifier(gated)
    limits = BacklogLimits(running=1, waiting=1, waiting_bytes=1000)
    async with bench(verifier, limits=limits) as at:
        for _ in range(3):
            at.panel.ask_later(EVIDENCE, terms_of(), at.told.append)
        assert at.told == [None]
        gate.set()
        await at.panel.drain(5)
        assert [told and told.value for told in at.told] == [None, P, P]
        at.panel.ask_later(EVIDENCE, terms_of(), at.told.append)
        assert at.told[-1] is None


async def test_bytes_that_wait_are_bounded_but_one_answer_always_has_room():
    """However large an answer is, it can be judged; a second one beside it cannot."""
    verifier = Verifier(says(PASS))
    async with bench(verifier, limits=BacklogLimits(waiting_bytes=100)) as at:
        large = replace(EVIDENCE, size_bytes=1000)
        at.panel.ask_later(large, terms_of(), at.told.append)
        at.panel.ask_later(EVIDENCE, terms_of(), at.told.append)
        assert at.told == [None]
        await at.panel.drain(5)
    assert [told and told.value for told in at.told] == [None, P]


async def test_a_drain_that_runs_out_of_time_drops_the_rest():
    """Those asked and those waiting are each told once that there will be no verdict."""
    async with bench(Verifier(hangs), limits=BacklogLimits(running=1), timeout_s=30.0) as at:
        for _ in range(3):
            at.panel.ask_later(EVIDENCE, terms_of(), at.told.append)
        began = time.monotonic()
        await at.panel.drain(0.1)
        assert time.monotonic() - began < 0.1 + SLACK_S
    assert at.told == [None, None, None]
