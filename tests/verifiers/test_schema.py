"""The schema verifier: what it finds, what it cannot tell, and that no schema keeps it busy for ever."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.schema import judge
from verifiers.schema.engine import answer
from verifiers.schema.judgement import MAX_SCHEMA_CHARS

REQUEST = {"message": {"messageId": "m-1", "parts": [{"text": "How many ports has the switch?"}]}}
RESPONSE = {"task": {"id": "t-1", "artifacts": [{"parts": [{"data": {"ports": 48, "checked": "2026-03-01"}}]}]}}
DATA = "/task/artifacts/0/parts/0/data"


def at_data(schema: object) -> str:
    """A schema for the data part of RESPONSE, as text."""
    for name in reversed(["task", "artifacts", "0", "parts", "0", "data"]):
        schema = {"prefixItems": [schema]} if name == "0" else {"required": [name], "properties": {name: schema}}
    return json.dumps(schema)


def evidence(request: Any = REQUEST, response: Any = RESPONSE, **parameters: str) -> Evidence:
    return Evidence("e-1", "a", "b", "/x.Y/Z", "b/v1", request, response, "c-1", "0" * 32, 0, parameters)


async def rules(**parameters: str) -> tuple[Value, list[str]]:
    verdict = await judge(evidence(**parameters))
    return verdict.value, [finding.rule for finding in verdict.findings]


async def test_documents_that_hold_to_both_schemas_pass():
    """Each side is judged by its own schema."""
    request_schema = json.dumps({"required": ["message"]})
    response_schema = at_data({"properties": {"ports": {"type": "integer"}, "checked": {"format": "date"}}})
    verdict = await judge(evidence(request_schema=request_schema, response_schema=response_schema))
    assert verdict == Verdict(Value.PASS, 1.0)


async def test_a_violation_names_keyword_and_place_and_quotes_no_payload():
    """The pointer leads to the value; the message quotes only what the schema asks."""
    verdict = await judge(evidence(response_schema=at_data({"properties": {"ports": {"maximum": 24}}})))
    finding = Finding("maximum", "The schema's 'maximum' does not hold here: 24", f"{DATA}/ports")
    assert verdict == Verdict(Value.FAIL, 0.0, (finding,))


async def test_a_violation_in_the_request_says_so():
    """A pointer alone would not tell which document it leads into."""
    verdict = await judge(evidence(request_schema='{"required": ["message", "tenant"]}', response_schema="{}"))
    assert verdict.findings == (
        Finding("required", "The schema's 'required' does not hold here: 'tenant' is missing", "", True),
    )
    assert verdict.score == 0.5


async def test_formats_are_checked_and_keywords_become_rule_names():
    """Findings' rules are lower case with dashes."""
    assert await rules(response_schema=at_data({"properties": {"checked": {"format": "ipv4"}}})) == (
        Value.FAIL,
        ["format"],
    )
    assert await rules(response_schema=at_data({"additionalProperties": False})) == (
        Value.FAIL,
        ["additional-properties"],
    )


async def test_a_pattern_that_the_engine_cannot_read_is_inconclusive():
    r"""Python has no \p{...}, which other engines read: a false alarm is worse than no verdict."""
    schema = at_data({"properties": {"checked": {"pattern": r"^\p{L}+$"}}})
    assert await rules(response_schema=schema) == (Value.INCONCLUSIVE, ["unjudged"])


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "7",
        '{"type": "strnig"}',
        '{"$ref": "#/nowhere"}',
        '{"$ref": "http://127.0.0.1:9/schema.json"}',
        '{"$ref": "#"}',
        '{"allOf": [{"$ref": "#"}]}',
    ],
    ids=["not JSON", "no schema", "no such type", "no such place", "elsewhere", "itself", "itself inside"],
)
async def test_a_schema_that_cannot_be_applied_is_inconclusive(schema: str):
    """Nothing is known then, and nothing is fetched."""
    assert await rules(response_schema=schema) == (Value.INCONCLUSIVE, ["unjudged"])


async def test_a_failure_outweighs_what_could_not_be_judged():
    """The request breaks its schema for certain, whatever the response does."""
    assert await rules(request_schema="false", response_schema="{") == (Value.FAIL, ["false-schema", "unjudged"])
    assert await rules(request_schema='{"type": "array"}', response_schema="{") == (Value.FAIL, ["type", "unjudged"])


async def test_nothing_given_is_inconclusive_and_a_side_without_document_is_not_judged():
    """A spec that asks for this verifier and gives no schema is a mistake; a response yet to come is none."""
    assert await rules() == (Value.INCONCLUSIVE, ["no-schema"])
    assert (await judge(evidence(response=None, response_schema="false"))).value is Value.PASS


async def test_schemas_past_the_limit_are_not_read():
    """At the limit it is judged, one character more it is not."""
    at_limit = '{"type": "object"}'.ljust(MAX_SCHEMA_CHARS)
    assert await rules(response_schema=at_limit) == (Value.PASS, [])
    assert await rules(response_schema=at_limit + " ") == (Value.INCONCLUSIVE, ["unjudged"])


async def test_a_pattern_that_backtracks_for_ever_ends_at_the_limit():
    """The child is ended; the next judgement gets a new one."""
    hostile = evidence(
        response={"text": "a" * 100 + "!"}, response_schema='{"properties": {"text": {"pattern": "^(a+)+$"}}}'
    )
    started = time.perf_counter()
    verdict = await judge(hostile)
    assert verdict.value is Value.INCONCLUSIVE
    assert [finding.rule for finding in verdict.findings] == ["unjudged"]
    assert time.perf_counter() - started < 8
    assert await rules(response_schema="{}") == (Value.PASS, [])


def test_findings_are_bounded_and_a_large_document_is_quick():
    """A mebibyte in which every item is wrong gives twenty findings in under a second."""
    case = {"in_request": False, "schema": '{"items": {"type": "string"}}', "document": [1234567] * 120_000}
    payload = json.dumps([case]).encode()
    started = time.perf_counter()
    found = json.loads(answer(payload))
    assert len(payload) > 1 << 20
    assert time.perf_counter() - started < 1
    assert len(found[0]) == 20


def test_a_pointer_escapes_what_rfc_6901_escapes():
    """A slash in a key would otherwise read as a step."""
    case = {"in_request": False, "schema": '{"additionalProperties": false}', "document": {}}
    case["schema"] = '{"additionalProperties": {"type": "string"}}'
    case["document"] = {"a/b~c": 1}
    assert json.loads(answer(json.dumps([case]).encode()))[0][0]["pointer"] == "/a~1b~0c"


PORTS = {"at": "$.task.artifacts[*].parts[*].data", "schema": {"properties": {"ports": {"maximum": 24}}}}


async def test_a_part_is_judged_where_it_stands():
    """The pointer starts at the document, not at the part."""
    verdict = await judge(evidence(response_parts=json.dumps([PORTS])))
    finding = Finding("maximum", "The schema's 'maximum' does not hold here: 24", f"{DATA}/ports")
    assert verdict == Verdict(Value.FAIL, 0.0, (finding,))


@pytest.mark.parametrize(("required", "found"), [(True, ["part-required"]), (False, [])])
async def test_a_part_that_selects_nothing_fails_where_it_is_required(required: bool, found: list[str]):
    """Else there is nothing that could break it."""
    parts = json.dumps([{"at": "$.nowhere", "schema": False, "required": required}])
    assert (await rules(request_parts=parts))[1] == found


@pytest.mark.parametrize(("places", "value"), [(0, Value.PASS), (1000, Value.PASS), (1001, Value.INCONCLUSIVE)])
async def test_a_part_may_select_so_many_places(places: int, value: Value):
    """More would make judging as long as a document's writer likes."""
    parts = json.dumps([{"at": "$[*]", "schema": {"type": "integer"}}])
    assert (await judge(evidence(response=[1] * places, response_parts=parts))).value is value


@pytest.mark.parametrize(
    "parts", ["{", "7", "[7]", '[{"at": "$"}]', '[{"schema": {}}]', '[{"at": "$[", "schema": {}}]']
)
async def test_parts_that_are_none_are_inconclusive(parts: str):
    """The spec's author learns of it; no answer is blamed."""
    assert await rules(response_parts=parts) == (Value.INCONCLUSIVE, ["unjudged"])
