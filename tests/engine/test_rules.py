"""Rules: what an expression may say, what refuses it at load, and what it makes of a message."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine.finding import Severity
from sidecar.engine.message import Direction
from sidecar.engine.specs import MAX_DEPTH, Broken, BrokenRule, BrokenSpec, Facts, Rule, Rules, compile_spec
from sidecar.engine.specs.cel import MAX_CHARS, MAX_COPIED, MAX_STEPS, Expression
from sidecar.engine.specs.rules import longest

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
EDGE = ("planner", "researcher", "/a.B/C")


def facts(request: Any, response: Any = None, *, size_bytes: int = 100, sequence: int = 0) -> Facts:
    documents = {"request": request} if response is None else {"request": request, "response": response}
    return Facts(REQUEST if response is None else RESPONSE, documents, EDGE, sequence, size_bytes)


def asked(expression: str, seen: Facts) -> Broken | None:
    rule = Rule(f"{seen.direction}.rules.it", Expression(expression, seen.direction))
    return next(Rules(seen.direction, [rule]).broken(seen), None)


MESSAGE = {"message": {"contextId": "c", "parts": [{"text": "one"}, {"data": {"limit": 5.0}}]}}


@pytest.mark.parametrize(
    ("expression", "is_kept"),
    [
        ("request.message.parts.all(p, !has(p.text) || p.text != '')", True),
        ("request.message.parts[1].data.limit <= 5", True),
        ("request.message.parts.size() == 3", False),
        ("request.message.parts.map(p, has(p.text)) == [true, false]", True),
        ("request.message.parts.filter(p, has(p.text)).size() == 2", False),
        ("request.message.contextId.matches('^[a-z]$')", True),
        ("'planner' == edge.caller && edge.callee == 'researcher' && edge.method.startsWith('/a.B/')", True),
        ("sequence == 0", True),
        ("has(request.message.taskId)", False),
        ("request.message.?taskId.orValue('none') == 'none'", True),
        ("math.greatest(sequence, 1) == 1", True),
        ("request.message.parts[0].text.contains('ne')", True),
        ("request.message.parts[0].text.contains(request.message.contextId)", False),
    ],
)
def test_a_rule_is_true_or_false_of_a_message(expression: str, is_kept: bool):
    """Documents, edge and sequence are what it may look at."""
    found = asked(expression, facts(MESSAGE))
    assert (found is None) is is_kept
    assert found is None or (found.keyword, found.severity) == ("false", Severity.ERROR)


def test_a_response_rule_sees_the_request_too():
    """Half of what agents promise each other is about both."""
    rule = "response.task.contextId == request.message.contextId"
    assert asked(rule, facts(MESSAGE, {"task": {"contextId": "c"}})) is None
    assert asked(rule, facts(MESSAGE, {"task": {"contextId": "d"}})) is not None


@pytest.mark.parametrize(
    ("expression", "found", "allowed"),
    [
        ("unknown == 1", "column 1: undeclared reference to 'unknown'", "CEL over edge.callee, edge.caller"),
        ("response.a == 1", "undeclared reference to 'response.a'", "request, sequence"),
        ("edge.peer == 'a'", "undeclared reference to 'edge.peer'", "edge.method"),
        ("sequence == 'a'", "column 10: found no matching overload for '_==_' applied to '(int, string)'", "CEL"),
        ("request.a ==", "Syntax error: mismatched input '<EOF>'", "CEL"),
        ("sequence + 1", "which gives int", "an expression that gives true or false"),
        ("request.a.contains(nobody)", "column 20: undeclared reference to 'nobody'", "CEL"),
        ("nofunc(request)", "undeclared reference to 'nofunc'", "CEL"),
        ("request.a.matches('(?=a)')", "the pattern \"'(?=a)'\"", "without look-around"),
        ("request.a.matches('(')", "the pattern", "without look-around"),
        ("request.a.matches(request.b)", "a pattern that is no literal", "in quotes"),
        ("matches(request.a, request.b + 'x')", "a pattern that is no literal", "in quotes"),
        ("request" + ".a" * 200, "recursion", "CEL"),
        ("(" * 200 + "true" + ")" * 200, "recursion", "CEL"),
        ("[request.a]" + ".map(x, x + x)" * 24 + " == []", "map(x, x + x)", "fewer `+`"),
        ("true" + " " * MAX_CHARS, f"{MAX_CHARS + 4} characters", f"at most {MAX_CHARS} characters"),
    ],
)
def test_an_expression_that_cannot_work_is_refused_at_load(expression: str, found: str, allowed: str):
    """In words that say where and why, before there is a message."""
    with pytest.raises(BrokenRule) as caught:
        Expression(expression, REQUEST)
    assert found in caught.value.found
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    "expression", ["request.a == ')' && request.b.matches(r'\\d')", 'matches(request.b, "a,b[(]")']
)
def test_quotes_and_brackets_inside_texts_confuse_nobody(expression: str):
    """Bounds are read from tokens, not from characters."""
    assert Expression(expression, REQUEST).text == expression


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("request.message.taskId == 'a'", 'it needs the key "taskId", which is not there'),
        ("request.message.parts.all(p, p.text != '')", 'it needs the key "text", which is not there'),
        ("request.message.parts[7].text == 'a'", "it reads an item that is not there"),
        ("request.message.contextId.text == 'a'", "it reads a key of something that is no object"),
        ("request.message.contextId > 3", "it meets types that do not go together: _>_(string, int64)"),
        ("int(request.message.contextId) == 3", "it converts a text that is no number"),
        ("1 / sequence == 1", "it divides by zero"),
        ("request.message", "it gives map where a rule gives true or false"),
        ("request[request.message.contextId] == 1", "it needs a key that is not there, named by the message itself"),
    ],
)
def test_a_rule_that_has_no_value_is_broken_and_says_why(expression: str, why: str):
    """Without `has()` a missing key is a violation; a key that the message chose is never quoted."""
    found = asked(expression, facts(MESSAGE))
    assert found == ("request.rules.it", Severity.ERROR, f"breaks the rule it: {why}", "unevaluated")


@pytest.mark.parametrize("count", [0, 1, MAX_STEPS - 1, MAX_STEPS + 1])
def test_an_evaluation_ends_at_its_bound(count: int):
    """More steps than are allowed count as a violation, and as our limit rather than the sender's mistake."""
    found = asked("request.items.all(i, i == 1)", facts({"items": [1] * count}))
    assert (found is None) is (count < MAX_STEPS)
    assert found is None or (found.severity, found.keyword) == (Severity.INTERNAL, "exhausted")


@pytest.mark.parametrize("count", [0, 1, MAX_COPIED, MAX_COPIED + 1])
@pytest.mark.parametrize("macro", ["map(i, i).size() >= 0", "filter(i, i == 1).size() >= 0"])
def test_lists_that_are_copied_are_bounded(macro: str, count: int):
    """The engine copies what `map` and `filter` have so far at every item."""
    found = asked(f"request.items.{macro}", facts({"items": [1] * count}))
    assert (found is None) is (count <= MAX_COPIED)


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        ("request.items.all(i, request.text.size() > i)", {"items": [1] * 9_999, "text": "é" * (1 << 20)}),
        ("request.items.all(a, request.items.all(b, a == b))", {"items": [1] * 9_999}),
        ("(request.items + request.items).map(i, i).size() > 0", {"items": [1] * MAX_COPIED}),
        ("request.text.contains(request.part)", {"text": "a" * (1 << 20), "part": "a" * (1 << 19) + "b"}),
        ("request.text.matches('^(a+)+$')", {"text": "a" * (1 << 20) + "!"}),
        ("request.items.all(i, i in request.items)", {"items": [1] * 9_999}),
        ("request == request", {"items": [[[1]] * 5_000]}),
    ],
)
def test_no_message_holds_a_rule_up(expression: str, document: Any):
    """Each would take seconds to hours without its bound."""
    size_bytes = sum(len(str(value)) for value in document.values())
    seen = facts(document, size_bytes=size_bytes)
    started = time.monotonic()
    asked(expression, seen)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("expression", "macros", "nested"),
    [
        ("request.n == 1", 0, 0),
        ("request.a.all(x, x > 1) && request.b.all(x, x > 1)", 2, 1),
        ("request.a.all(x, (x + 1) in [x].map(y, y)) || request.text == 'a.all('", 2, 2),
        ("request.a.map(x, x).filter(x, [x].exists(y, [y].all(z, z == 1))).size() == 0", 4, 3),
    ],
)
def test_loops_after_each_other_are_told_from_loops_inside_each_other(expression: str, macros: int, nested: int):
    """Two loops over fifty parts are a hundred steps, not two thousand five hundred."""
    work = Expression(expression, REQUEST).work
    assert (work.macros, work.nested) == (macros, nested)


@pytest.mark.parametrize(("size_bytes", "is_kept"), [(0, True), (1, True), (1 << 27, True), ((1 << 27) + 1, False)])
def test_bytes_times_steps_are_bounded(size_bytes: int, is_kept: bool):
    """Two steps through a list, so half of the bound."""
    found = asked("request.items.all(i, i == 1)", facts({"items": [1, 1]}, size_bytes=size_bytes))
    assert (found is None) is is_kept


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 100_000])
def test_a_document_deeper_than_native_code_can_go_breaks_the_rules(levels: int):
    """Without the guard a message of 200 KB would end the process."""
    document: Any = {}
    for _ in range(levels - 1):
        document = {"c": document}
    found = asked("has(request.c) || request == {}", facts(document))
    assert (found is None) is (levels <= MAX_DEPTH)
    assert found is None or (found.rule, found.keyword) == ("request.rules", "depth")


@pytest.mark.parametrize("text", ["\ud800", object()])
def test_what_is_no_json_counts_as_a_violation(text: Any):
    """A way to make the engine fail must not be a way round the rule."""
    found = asked("request.text == 'a'", facts({"text": text}))
    assert found is not None
    assert found.keyword in ("failed", "unevaluated")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(document=JSON_VALUES, text=st.sampled_from(["request.a.b == 1", "request.a.all(x, x > 1)", "size(request) > 1"]))
def test_whatever_the_document_there_is_a_verdict(document: Any, text: str):
    """Never an exception, and no value of the message in the sentence."""
    found = asked(text, facts(document))
    assert found is None or found.sentence.startswith("breaks the rule it")


def test_the_longest_list_or_object_is_found_at_any_depth():
    """It is what bounds the steps of an expression."""
    assert longest({"a": [{"b": [1, 2, 3]}]}) == 3
    assert longest(dict.fromkeys("abcd")) == 4
    assert longest("text") == 0


def test_flaws_of_rules_name_their_place():
    """Two rules with one id, and one that cannot be compiled."""
    rules = [{"id": "a", "expr": "true"}, {"id": "a", "expr": "nothing"}]
    with pytest.raises(BrokenSpec) as caught:
        compile_spec({"spec": "a/v1", "match": {}, "response": {"rules": rules}}, base_uri="file:///a.yaml")
    assert [flaw.keys for flaw in caught.value.flaws] == [
        ("response", "rules", 1, "id"),
        ("response", "rules", 1, "expr"),
    ]
