"""The spec check: this message came in, these findings came out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sidecar.checks.spec import SpecCheck
from sidecar.engine import policy
from sidecar.engine.exchange import Answer, Arrival, Exchange, Mode, Origin, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import NO_NAMES, Direction, Message, Names
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import MAX_MATCHES, Match, Spec, SpecTable, compile_spec
from sidecar.engine.specs.cel import Expression
from sidecar.errors import MalformedMessage, Reason
from sidecar.stores.memory import MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
METHOD = "/lf.a2a.v1.A2AService/SendMessage"


class JsonCodec:
    """Reads JSON, and counts how often it was asked."""

    has_names = False

    def __init__(self) -> None:
        self.parsed = 0

    def parse(self, payload: bytes) -> Any:
        self.parsed += 1
        try:
            return json.loads(payload)
        except ValueError as error:
            raise MalformedMessage("no JSON") from error

    def document(self, parsed: Any) -> Any:
        return parsed

    def names(self, parsed: Any) -> Names:
        return NO_NAMES


def engine(*specs: Spec) -> Engine:
    clock = ManualClock()
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    return Engine(clock=clock, lineage=lineage, specs=SpecTable(specs), checks=[SpecCheck()])


def spec(*, mode: str | None = None, **sides: Any) -> Spec:
    data = {"spec": "researcher/v1", "match": {"callee": "researcher"}, **({"mode": mode} if mode else {}), **sides}
    return compile_spec(data, base_uri="file:///researcher.yaml")


async def exchange_with(found: Spec | None, mode: Mode = Mode.ENFORCE) -> tuple[Engine, Exchange]:
    running = engine(*([found] if found else []))
    route = Route("inbound", Side.INBOUND, "planner", "researcher", mode)
    return running, await running.start(Arrival(route, METHOD))


def message(document: Any, direction: Direction = REQUEST, sequence: int = 0) -> Message:
    return Message(direction, sequence, json.dumps(document).encode(), JsonCodec())


async def findings(found: Spec, document: Any, direction: Direction = REQUEST) -> list[Finding]:
    running, exchange = await exchange_with(found)
    await running.message(exchange, message(document, direction))
    return exchange.findings


QUERY_PART = {
    "at": "$.message.parts[*].data",
    "required": True,
    "schema": {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}},
}


def parts(*data: Any) -> Any:
    return {"message": {"parts": [{"data": each} for each in data]}}


async def test_a_request_that_breaks_its_part_is_refused_in_words():
    """Spec, place and problem in one sentence; rule, pointer and keyword for machines."""
    running, exchange = await exchange_with(spec(request={"parts": [QUERY_PART]}))
    decision = await running.message(exchange, message(parts({"query": "q"}, {"topic": "secret"})))
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.REQUEST_SPEC_VIOLATION
    assert exchange.findings == [
        Finding(
            check="spec",
            rule="request.parts[0].schema",
            severity=Severity.ERROR,
            message='researcher/v1: request at /message/parts/1/data lacks the required property "query"',
            reason=Reason.REQUEST_SPEC_VIOLATION,
            mode=None,
            spec="researcher/v1",
            pointer="/message/parts/1/data",
            evidence={"keyword": "required"},
        )
    ]


async def test_a_response_that_breaks_its_schema_is_refused_as_such():
    """Whose fault it is decides the status that the caller gets."""
    running, exchange = await exchange_with(spec(response={"schema": {"required": ["task"]}}))
    decision = await running.message(exchange, message({}, RESPONSE))
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.RESPONSE_SPEC_VIOLATION
    assert decision.message == 'researcher/v1: response lacks the required property "task"'


async def test_a_message_that_keeps_its_spec_passes_without_a_finding():
    """The common case."""
    running, exchange = await exchange_with(spec(request={"schema": True, "parts": [QUERY_PART]}))
    assert isinstance(await running.message(exchange, message(parts({"query": "q"}))), Forward)
    assert exchange.findings == []


async def test_each_message_of_a_stream_is_checked():
    """A stream is many messages under one promise; the third breaks it."""
    limit = {"at": "$.text", "schema": {"maxLength": 3}}
    running, exchange = await exchange_with(spec(response={"parts": [limit]}))
    assert isinstance(await running.message(exchange, message({"text": "a"}, RESPONSE, 0)), Forward)
    assert isinstance(await running.message(exchange, message({"text": "ab"}, RESPONSE, 1)), Forward)
    assert isinstance(await running.message(exchange, message({"text": "abcd"}, RESPONSE, 2)), Reject)
    assert [finding.message for finding in exchange.findings] == [
        "researcher/v1: response at /text has 4 characters, more than the 3 allowed"
    ]


@pytest.mark.parametrize(
    ("route", "said", "is_refused"),
    [
        (Mode.ENFORCE, None, True),
        (Mode.ENFORCE, "enforce", True),
        (Mode.ENFORCE, "observe", False),
        (Mode.OBSERVE, "enforce", False),
        (Mode.OBSERVE, None, False),
    ],
)
async def test_the_weakest_mode_of_route_and_spec_wins(route: Mode, said: str | None, is_refused: bool):
    """The finding is made in every mode; only the refusal depends on it."""
    running, exchange = await exchange_with(spec(mode=said, request={"schema": False}), route)
    decision = await running.message(exchange, message({}))
    assert isinstance(decision, Reject) is is_refused
    assert [finding.rule for finding in exchange.findings] == ["request.schema"]


@pytest.mark.parametrize("found", [None, spec(response={"schema": False}), spec(request={})])
async def test_where_nothing_is_promised_nothing_is_read(found: Spec | None):
    """A route without specs never pays for decoding."""
    running, exchange = await exchange_with(found)
    codec = JsonCodec()
    await running.message(exchange, Message(REQUEST, 0, b"not json", codec))
    assert (codec.parsed, exchange.findings) == (0, [])


async def test_a_message_without_a_descriptor_is_said_once_and_passes():
    """Nothing can be judged, which is worth one warning for each direction and never a refusal."""
    running, exchange = await exchange_with(spec(request={"schema": False}, response={"schema": False}))
    for direction in (REQUEST, REQUEST, RESPONSE, RESPONSE):
        assert isinstance(await running.message(exchange, Message(direction, 0, b"?")), Forward)
    assert [(finding.rule, finding.severity, finding.reason) for finding in exchange.findings] == [
        ("request.unreadable", Severity.WARNING, None),
        ("response.unreadable", Severity.WARNING, None),
    ]
    assert exchange.findings[0].message == (
        "researcher/v1: request cannot be checked, because no descriptor is known for "
        "/lf.a2a.v1.A2AService/SendMessage; name one under `descriptors`"
    )


@pytest.mark.parametrize("direction", [REQUEST, RESPONSE])
async def test_a_malformed_message_breaks_its_spec(direction: Direction):
    """Bytes that are not what the method declares cannot keep any promise."""
    running, exchange = await exchange_with(spec(request={"schema": True}, response={"schema": True}))
    decision = await running.message(exchange, Message(direction, 0, b"not json", JsonCodec()))
    assert isinstance(decision, Reject)
    assert decision.message == f"researcher/v1: {direction} cannot be parsed as the type that its method declares"
    assert exchange.findings[0].rule == f"{direction}.malformed"


@pytest.mark.parametrize(("data", "rules"), [((), ["request.parts[0].required"]), (({"query": "q"},), [])])
async def test_a_required_part_must_be_there(data: Any, rules: list[str]):
    """0 and 1 matches."""
    found = await findings(spec(request={"parts": [QUERY_PART]}), parts(*data))
    assert [finding.rule for finding in found] == rules
    assert all(finding.message.endswith("request has nothing at $.message.parts[*].data") for finding in found)


@pytest.mark.parametrize("count", [0, 1, MAX_MATCHES, MAX_MATCHES + 1])
async def test_more_places_than_are_checked_break_the_spec(count: int):
    """Otherwise the bad part would be sent as number 1,001."""
    part = {"at": "$.items[*]", "schema": {"type": "integer"}}
    found = await findings(spec(request={"parts": [part]}), {"items": [1] * count})
    assert [finding.rule for finding in found] == ["request.parts[0].matches"] * (count > MAX_MATCHES)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 500])
async def test_at_most_eight_findings_are_made_of_one_message(count: int):
    """Document and parts share the limit."""
    sides = {
        "schema": {"properties": {"items": {"items": {"type": "integer"}}}},
        "parts": [{"at": "$.items[*]", "schema": {"type": "integer"}}],
    }
    found = await findings(spec(request=sides), {"items": ["x"] * count})
    assert len(found) == min(2 * count, 8)


async def test_a_message_that_makes_the_check_fail_counts_as_a_violation():
    """A way to make the check fail must not be a way round it, so this is refused like any violation."""
    part = {"at": "$.text", "schema": {"type": "string"}}
    running, exchange = await exchange_with(spec(request={"parts": [part]}))
    decision = await running.message(exchange, message({"text": "\ud800"}))
    assert isinstance(decision, Reject)
    assert [(finding.rule, finding.severity, finding.message) for finding in exchange.findings] == [
        (
            "request.unjudged",
            Severity.INTERNAL,
            "researcher/v1: request made the check fail (UnicodeEncodeError), which counts as a violation",
        )
    ]


async def test_a_document_too_deep_for_its_path_counts_as_a_violation():
    """`..` ends at 100 levels; what lies below is not known to keep the promise."""
    document: Any = {}
    for _ in range(150):
        document = {"c": document}
    found = await findings(spec(request={"parts": [{"at": "$..query", "schema": True}]}), document)
    assert [(finding.rule, finding.reason) for finding in found] == [
        ("request.unjudged", Reason.REQUEST_SPEC_VIOLATION)
    ]


async def test_hostile_documents_are_judged_quickly():
    """100 levels, a string of 1 MiB and ten thousand bad items, under a pattern that backtracking engines choke on."""
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "properties": {
                    "c": {"$ref": "#/$defs/node"},
                    "text": {"pattern": "^(a+)+$"},
                    "items": {"items": {"type": "string"}},
                }
            }
        },
    }
    document: Any = {"text": "a" * (1 << 20) + "!", "items": [1] * 10_000}
    for _ in range(100):
        document = {"c": document}
    started = time.monotonic()
    found = await findings(spec(request={"schema": schema}), document)
    assert time.monotonic() - started < 2
    assert len(found) == 8
    assert found[0].message == f'researcher/v1: request at {"/c" * 100}/text does not match the pattern "^(a+)+$"'
    assert found[7].pointer == "/c" * 100 + "/items/6"
    assert "aaa" not in "".join(finding.message for finding in found)


async def test_a_pinned_spec_outlives_its_table():
    """A stream goes on under the contract it began with."""
    old = spec(request={"schema": False})
    running, exchange = await exchange_with(old)
    running._specs = SpecTable()
    assert isinstance(await running.message(exchange, message({})), Reject)


async def test_findings_ask_policy_and_decide_nothing():
    """A finding in a spec that observes is forwarded by the one place that decides."""
    running, exchange = await exchange_with(spec(mode="observe", request={"schema": False}))
    await running.message(exchange, message({}))
    assert exchange.findings
    assert isinstance(policy.decide(exchange, exchange.findings), Forward)


def test_the_check_matches_edges_by_its_table():
    """What the engine pins is what the table says."""
    assert SpecTable([spec()]).match("anyone", "researcher", METHOD) is not None
    assert spec().match == Match(callee="researcher")


def rule(expression: str, **more: Any) -> dict[str, Any]:
    return {"id": "it", "expr": expression, **more}


SAME_CONTEXT = rule("response.contextId == request.contextId", message="the answer is about something else")


async def test_a_broken_rule_refuses_in_the_words_of_its_author():
    """The rule's own message tells people what to do; its id tells machines."""
    running, exchange = await exchange_with(spec(request={"rules": [rule("request.n > 1", message="n is too small")]}))
    decision = await running.message(exchange, message({"n": 1}))
    assert isinstance(decision, Reject)
    assert exchange.findings == [
        Finding(
            check="spec",
            rule="request.rules.it",
            severity=Severity.ERROR,
            message="researcher/v1: request breaks the rule it: n is too small",
            reason=Reason.REQUEST_SPEC_VIOLATION,
            mode=None,
            spec="researcher/v1",
            evidence={"keyword": "false"},
        )
    ]


@pytest.mark.parametrize(("context", "is_refused"), [("c", False), ("d", True)])
async def test_a_response_is_judged_beside_its_request(context: str, is_refused: bool):
    """The engine keeps the last request for this."""
    running, exchange = await exchange_with(spec(response={"rules": [SAME_CONTEXT]}))
    await running.message(exchange, message({"contextId": "c"}))
    decision = await running.message(exchange, message({"contextId": context}, RESPONSE))
    assert isinstance(decision, Reject) is is_refused
    assert not is_refused or decision.message.endswith("breaks the rule it: the answer is about something else")


@pytest.mark.parametrize("request_bytes", [None, b"no json"])
async def test_a_response_without_a_readable_request_sees_an_empty_one(request_bytes: bytes | None):
    """`has()` can guard it; a rule that needs the request is broken without it."""
    guarded = rule("!has(request.contextId) || response.contextId == request.contextId")
    running, exchange = await exchange_with(
        spec(mode="observe", response={"rules": [guarded, {**SAME_CONTEXT, "id": "b"}]})
    )
    if request_bytes is not None:
        await running.message(exchange, Message(REQUEST, 0, request_bytes, JsonCodec()))
    await running.message(exchange, message({"contextId": "c"}, RESPONSE))
    assert [(finding.rule, finding.evidence["keyword"]) for finding in exchange.findings] == [
        ("response.rules.b", "unevaluated")
    ]


@pytest.mark.parametrize(("severity", "is_refused"), [("error", True), ("warning", False), ("info", False)])
async def test_only_an_error_asks_for_a_refusal(severity: str, is_refused: bool):
    """A rule can be tried out as a warning on an edge that enforces."""
    running, exchange = await exchange_with(spec(request={"rules": [rule("false", severity=severity)]}))
    decision = await running.message(exchange, message({}))
    assert isinstance(decision, Reject) is is_refused
    assert [finding.severity for finding in exchange.findings] == [severity]


async def test_a_rule_at_its_bound_is_refused_as_our_own_limit():
    """Severity internal says that the limit is ours; the refusal is the one of a violation."""
    running, exchange = await exchange_with(
        spec(request={"rules": [rule("request.a.all(x, request.a.all(y, x == y))")]})
    )
    decision = await running.message(exchange, message({"a": [1] * 500}))
    assert isinstance(decision, Reject)
    assert [(finding.rule, finding.severity, finding.reason) for finding in exchange.findings] == [
        ("request.rules.it", Severity.INTERNAL, Reason.REQUEST_SPEC_VIOLATION)
    ]


async def test_no_rule_is_evaluated_twice(monkeypatch: pytest.MonkeyPatch):
    """Twenty rules, three messages of a stream and their request: each rule once a message."""
    evaluated: list[str] = []
    holds = Expression.holds

    def counted(self: Expression, activation: Any) -> bool:
        evaluated.append(self.text)
        return holds(self, activation)

    monkeypatch.setattr(Expression, "holds", counted)
    requests = [{"id": f"q{n}", "expr": f"request.n >= {n}"} for n in range(10)]
    responses = [{"id": f"r{n}", "expr": f"response.n + request.n >= {n}"} for n in range(10)]
    running, exchange = await exchange_with(spec(request={"rules": requests}, response={"rules": responses}))
    await running.message(exchange, message({"n": 20}))
    for sequence in range(3):
        await running.message(exchange, message({"n": 1}, RESPONSE, sequence))
    assert exchange.findings == []
    assert sorted(evaluated) == sorted([r["expr"] for r in requests] + 3 * [r["expr"] for r in responses])


async def test_rules_see_the_place_of_a_message_in_its_stream():
    """The first message of a stream may have to be of another kind than those that follow."""
    running, exchange = await exchange_with(spec(response={"rules": [rule("sequence > 0 || has(response.task)")]}))
    assert isinstance(await running.message(exchange, message({"task": {}}, RESPONSE, 0)), Forward)
    assert isinstance(await running.message(exchange, message({"update": {}}, RESPONSE, 1)), Forward)


@pytest.mark.parametrize(
    ("code", "origin", "is_found"),
    [
        ("OK", Origin.UPSTREAM, False),
        ("NOT_FOUND", Origin.UPSTREAM, False),
        ("UNKNOWN", Origin.UPSTREAM, True),
        ("CANCELLED", Origin.UPSTREAM, True),
        ("DEADLINE_EXCEEDED", Origin.UPSTREAM, False),
        ("UNAVAILABLE", Origin.UPSTREAM, True),
        ("UNAVAILABLE", Origin.TRANSPORT, False),
        ("INTERNAL", Origin.TRANSPORT, False),
    ],
)
async def test_an_error_that_was_not_declared_is_refused(code: str, origin: Origin, is_found: bool):
    """The callee's own codes only: what grpc makes of a broken connection is nobody's answer."""
    running, exchange = await exchange_with(spec(errors=["NOT_FOUND", "INVALID_ARGUMENT"]))
    decision = await running.answered(exchange, Answer(Status(code, "", origin)))
    assert isinstance(decision, Reject) is is_found
    reason, expected = (
        Reason.RESPONSE_SPEC_VIOLATION,
        f"researcher/v1: the callee answered {code}; its spec allows OK, INVALID_ARGUMENT, NOT_FOUND",
    )
    assert [(finding.rule, finding.severity, finding.reason, finding.message) for finding in exchange.findings] == (
        [("response.errors", Severity.ERROR, reason, expected)] if is_found else []
    )


@pytest.mark.parametrize(("route", "said"), [(Mode.ENFORCE, "observe"), (Mode.OBSERVE, "enforce")])
async def test_an_undeclared_error_passes_where_anything_observes(route: Mode, said: str):
    """The finding is made and the caller hears the callee's own word."""
    running, exchange = await exchange_with(spec(mode=said, errors=[]), route)
    assert isinstance(await running.answered(exchange, Answer(Status("UNKNOWN"))), Forward)
    assert [finding.rule for finding in exchange.findings] == ["response.errors"]


@pytest.mark.parametrize("origin", Origin)
async def test_the_end_of_an_exchange_adds_nothing_to_the_error_contract(origin: Origin):
    """A caller that left, a refusal of ours: nobody answered, so there is no answer to judge."""
    running, exchange = await exchange_with(spec(errors=[]))
    await running.end(exchange, Status("CANCELLED", "", origin))
    assert exchange.findings == []


async def test_without_an_error_contract_every_code_is_allowed():
    """An empty list allows none."""
    for declared, count in ((None, 0), ([], 1)):
        running, exchange = await exchange_with(spec(**({} if declared is None else {"errors": declared})))
        await running.answered(exchange, Answer(Status("UNKNOWN")))
        assert len(exchange.findings) == count
