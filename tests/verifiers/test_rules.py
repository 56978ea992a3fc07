"""The rules verifier: CEL over request, response and edge, with a known end for every expression."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.rules import judge
from verifiers.rules.engine import CannotEvaluate, answer, compiled
from verifiers.rules.rulebook import MAX_EXPRESSION_CHARS, MAX_RULES

REQUEST = {
    "message": {
        "messageId": "m-1",
        "contextId": "c-1",
        "role": "ROLE_USER",
        "parts": [{"text": "What is the total?"}, {"data": {"limit": 10, "ratio": 0.5, "note": None}}],
    }
}
RESPONSE = {
    "task": {
        "id": "t-1",
        "contextId": "c-1",
        "status": {"state": "TASK_STATE_COMPLETED", "timestamp": "2026-03-01T10:00:00Z"},
        "artifacts": [{"artifactId": "a-1", "parts": [{"text": "6.8"}, {"data": {"count": 3.0}}]}],
    }
}


def evidence(*rules: object, request: Any = REQUEST, response: Any = RESPONSE) -> Evidence:
    parameters = {"rules": json.dumps(rules)}
    return Evidence("e-1", "alice", "bob", "/x.Y/Z", "bob/v1", request, response, "c-1", "0" * 32, 0, parameters)


def rule(expr: str, name: str = "a-rule", message: str = "It must be so.") -> dict[str, str]:
    return {"id": name, "expr": expr, "message": message}


async def value(expr: str, request: Any = REQUEST, response: Any = RESPONSE) -> Value:
    return (await judge(evidence(rule(expr), request=request, response=response))).value


@pytest.mark.parametrize(
    "expr",
    [
        "has(request.message.parts) && !has(request.message.nothing)",
        "request.message.parts.all(p, !has(p.text) || p.text != '')",
        "request.message.parts.exists(p, has(p.data))",
        "request.message.parts.filter(p, has(p.text)).size() == 1",
        "response.task.artifacts.map(a, a.artifactId) == ['a-1']",
        "response.task.contextId == request.message.contextId",
        "request.message.role.startsWith('ROLE_') && response.task.id.matches('^t-[0-9]+$')",
        "timestamp(response.task.status.timestamp) < timestamp('2026-03-02T00:00:00Z')",
        "timestamp('2026-03-01T12:00:00Z') - timestamp(response.task.status.timestamp) == duration('2h')",
        "request.message.parts[1].data.limit == 10 && request.message.parts[1].data.limit > 9.5",
        "response.task.artifacts[0].parts[1].data.count == 3",
        "request.message.parts[1].data.note == null",
        "request.message.nothing == 'x' || true",
        "response.task.status.state in ['TASK_STATE_COMPLETED', 'TASK_STATE_FAILED']",
        "request.?message.?nothing.orValue('none') == 'none'",
        "math.greatest(1, 2) == 2",
        "size('é€😀') == 3",
        "edge.caller == 'alice' && edge.callee == 'bob' && edge.method == '/x.Y/Z'",
        "has(response.task) ? response.task.id != '' : true",
    ],
)
async def test_what_is_true_passes(expr: str):
    """The language as its definition has it, on documents as agents send them."""
    assert await value(expr) is Value.PASS


async def test_what_is_false_fails_with_the_rules_own_words():
    """The finding is the rule's id and message; the score is the part that holds."""
    held = rule("edge.caller == 'alice'", "caller-is-alice")
    broken = rule("response.task.contextId == 'c-2'", "same-context", "The contexts must agree.")
    verdict = await judge(evidence(held, broken))
    assert verdict == Verdict(Value.FAIL, 0.5, (Finding("same-context", "The contexts must agree."),))


async def test_a_rule_about_the_request_points_into_the_request():
    """What the rule needs is known from the expression, not from where it stands."""
    verdict = await judge(evidence(rule("request.message.role == 'ROLE_AGENT'")))
    assert verdict.findings == (Finding("a-rule", "It must be so.", "", True),)


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ("request.message.parts.all(p, p.text != '')", 'no key "text"'),
        ("request.message.role", "its value is not a yes or no"),
        ("1 / request.message.parts[1].data.limit", "it is not a yes or no"),
        ("request.message.role > 3", "an operator or function does not fit the types of its values"),
        ("request.message.(", "it does not compile"),
        ("nobody.knows == 1", "it does not compile"),
        ("request.message.role.matches('(?=a)')", "the engine refused a value or an operation"),
    ],
)
async def test_what_has_no_value_is_inconclusive(expr: str, why: str):
    """Neither true nor false is neither pass nor fail."""
    verdict = await judge(evidence(rule(expr)))
    message = f"The rule 'a-rule' could not be judged: {why}."
    assert verdict == Verdict(Value.INCONCLUSIVE, 0.0, (Finding("unjudged", message),))


async def test_rules_about_the_response_wait_for_it():
    """While only the request is there, they have not had their turn; with a null they would fail."""
    assert await value("response.task.id == 'other'", response=None) is Value.PASS
    assert await value("request.message.role == 'other'", response=None) is Value.FAIL
    assert await value("request.message.role == 'other' || response.task.id != ''", response=None) is Value.PASS


async def test_a_rule_about_a_request_that_is_not_there_is_inconclusive():
    """A response never comes before its request, so what is missing was not readable."""
    assert await value("request.message.role == 'ROLE_USER'", request=None) is Value.INCONCLUSIVE


@pytest.mark.parametrize("number", ["1" + "0" * 400, str(2**70), str(-(2**63) - 1), str(2**64)])
async def test_a_number_beyond_64_bits_does_not_spoil_the_document(number: str):
    """The engine would refuse every rule on a document that holds one."""
    verdict = await judge(evidence(rule("request.ok == 1"), request=json.loads(f'{{"ok": 1, "n": {number}}}')))
    assert verdict.value is Value.PASS


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '[{"id": "a"}]', '[{"id": 1, "expr": "true"}]', json.dumps([{}] * (MAX_RULES + 1))]
)
async def test_rules_that_are_none_are_inconclusive(text: str):
    """A verifier that was asked and cannot know what for must not pass."""
    given = Evidence("e", "a", "b", "/x", "s", REQUEST, RESPONSE, "c", "", 0, {"rules": text} if text else {})
    verdict = await judge(given)
    assert verdict.value is Value.INCONCLUSIVE
    assert [finding.rule for finding in verdict.findings] == ["bad-rules"]


async def test_limits_hold_at_the_limit_and_one_beyond():
    """As many rules and as long an expression as is allowed, and one more of each."""
    assert (await judge(evidence(*[rule("true")] * MAX_RULES))).value is Value.PASS
    at_limit = "true".ljust(MAX_EXPRESSION_CHARS)
    assert await value(at_limit) is Value.PASS
    assert await value(at_limit + " ") is Value.INCONCLUSIVE
    assert len((await judge(evidence(*[rule("false")] * MAX_RULES))).findings) == 20


async def test_a_failure_is_named_even_after_many_rules_that_cannot_be_judged():
    """A fail must show what fails, also where findings are cut."""
    verdict = await judge(evidence(*[rule("request.nothing == 1")] * 30, rule("false", "last")))
    assert (verdict.value, verdict.findings[0].rule, len(verdict.findings)) == (Value.FAIL, "last", 20)


@pytest.mark.parametrize(
    "expr",
    [
        "request.l.all(a, request.l.all(b, request.l.all(c, a + b + c >= 0)))",
        "request.t.matches('^(a+)+$b')",
        "[request.t]" + ".map(x, x + x)" * 24 + ".size() > 1000",
        "(" * 1000 + "true" + ")" * 1000,
    ],
    ids=["nested loops", "backtracking", "doubling", "nesting"],
)
async def test_an_expression_that_would_never_end_does_not_pass_and_has_an_end(expr: str):
    """By the engine's own bounds, or by those of the cage."""
    document = {"l": list(range(300)), "t": "a" * 200_000}
    started = time.perf_counter()
    assert await value(expr, request=document) is not Value.PASS
    assert time.perf_counter() - started < 8
    assert await value("true") is Value.PASS


def test_an_expression_is_compiled_once():
    """Compiling costs ten times as much as evaluating."""
    compiled.cache_clear()
    payload = json.dumps({"rules": [rule("request.ok")], "documents": {"request": {"ok": True}}}).encode()
    assert [json.loads(answer(payload))["held"] for _ in range(3)] == [1, 1, 1]
    assert compiled.cache_info().misses == 1


def test_a_large_document_is_quick():
    """A mebibyte of text and twenty rules on it: under a second."""
    document = {"message": {"parts": [{"text": "x" * 1024} for _ in range(1024)]}}
    rules = [rule(f"request.message.parts.all(p, p.text.size() > {least})") for least in range(20)]
    payload = json.dumps({"rules": rules, "documents": {"request": document}}).encode()
    started = time.perf_counter()
    assert json.loads(answer(payload))["held"] == 20
    assert time.perf_counter() - started < 1


def test_names_that_an_expression_needs_are_found_by_the_checker():
    """A name inside a string or bound by a macro is not needed."""
    assert compiled("'response' == 'request' || [1].exists(response, response == 1)").needs == frozenset()
    assert compiled("request.a == response.a").needs == {"request", "response"}
    with pytest.raises(CannotEvaluate):
        compiled("secret.a == 1")
