"""Arguments: what a request asks for, whoever sends it and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.canonical import ENVELOPES, OWN_FIELDS, arguments_of, canonical, digest_of

ASK: dict[str, Any] = {
    "tenant": "t",
    "message": {
        "messageId": "m1",
        "contextId": "c1",
        "role": "ROLE_USER",
        "taskId": "task-1",
        "parts": [{"text": "on 2026-01-01?"}, {"data": {"timestamp": "2026-01-01", "messageId": "in the content"}}],
        "metadata": {"timestamp": "2026-01-01T00:00:00Z", "priority": 1},
    },
    "configuration": {"blocking": True},
}


def test_only_what_names_the_sending_is_left_out():
    """Ids of tasks, settings and all content stay."""
    assert arguments_of(ASK) == {
        "tenant": "t",
        "message": {
            "role": "ROLE_USER",
            "taskId": "task-1",
            "parts": ASK["message"]["parts"],
            "metadata": {"priority": 1},
        },
        "configuration": {"blocking": True},
    }


@pytest.mark.parametrize("name", sorted(OWN_FIELDS))
@pytest.mark.parametrize("envelope", ["", "message", "request", "params"])
def test_every_own_field_is_left_out_at_the_top_and_in_envelopes(name: str, envelope: str):
    """And nowhere else."""
    inner = {name: "x", "item": 1}
    bare = arguments_of({envelope: inner} if envelope else inner)
    assert (bare[envelope] if envelope else bare) == {"item": 1}
    assert arguments_of({"filter": inner}) == {"filter": inner}


@pytest.mark.parametrize(
    "document",
    [
        {"id": "task-1"},
        {"taskId": "t"},
        {"pageToken": "p"},
        {"path": "/a"},
        {"name": "things/1"},
        {"key": "k"},
        {"text": "2026-01-01T00:00:00Z"},
        {"contextIds": ["c"]},
    ],
)
def test_identity_that_is_part_of_the_question_stays(document: Any):
    """Which task, which page, which thing."""
    assert arguments_of(document) == document


def test_the_id_of_a_json_rpc_request_names_the_sending():
    """JSON-RPC 2.0, section 4: it correlates; `params.id` is an argument."""
    document = {"jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": {"id": "task-1"}}
    assert arguments_of(document) == {"jsonrpc": "2.0", "method": "tasks/get", "params": {"id": "task-1"}}


@pytest.mark.parametrize("document", [None, 1, "text", [], [{"messageId": "m"}], {}])
def test_documents_that_are_no_objects_are_their_own_arguments(document: Any):
    """There is nothing to leave out."""
    assert arguments_of(document) == document


def test_envelopes_are_opened_only_so_deep():
    """A payload cannot make it work for ever."""
    document: Any = {"messageId": "m"}
    for _ in range(100_000):
        document = {"message": document}
    arguments_of(document)


def test_the_document_itself_is_not_changed():
    """Checks after this one see all of it."""
    before = repr(ASK)
    arguments_of(ASK)
    assert repr(ASK) == before


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_makes_no_other_digest(value: Any):
    """JSON objects have none."""
    assert digest_of(value) == digest_of(reordered(value))


@given(JSON)
def test_canonical_json_tells_the_whole_value(value: Any):
    """It can be read back, so two that differ never look alike."""
    assert json.loads(canonical(value).removeprefix(b"~")) == value


@pytest.mark.parametrize(("one", "two"), [(1, 1.0), (1, True), ("1", 1), ([], {}), (None, ""), ([1, [2]], [[1], 2])])
def test_values_that_python_or_people_confuse_have_other_digests(one: Any, two: Any):
    """A replay of the wrong answer starts with a key that is too coarse."""
    assert digest_of([one]) != digest_of([two])


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", {"\ud800": 1}])
def test_what_the_fast_encoder_refuses_has_a_digest_too(value: Any):
    """Integers past 64 bits and lone surrogates come in JSON payloads."""
    assert digest_of(value) == digest_of(value)
    assert digest_of([value]) != digest_of([repr(value)])


def test_what_is_nested_too_deeply_is_a_value_error():
    """Not a crash."""
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="too deeply"):
        digest_of(value)


def test_envelopes_are_not_content():
    """Were `parts` one of them, a date in a question would be left out."""
    assert not ENVELOPES & {"parts", "data", "content", "arguments", "input", "query"}
