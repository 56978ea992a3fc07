"""JSON payloads: strict, exact, and told from protobuf."""

from __future__ import annotations

import json

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.json_codec import JSON_CODEC, sniff
from sidecar.engine.message import Names
from sidecar.errors import MalformedMessage


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[1e999]",
        b'["\xff\xfe"]',
        b'["\\ud800"]',
        b'{"secret": 1,}',
        b"[" * 5_000 + b"]" * 5_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[" * 1_000 + b"9" * 30 + b"]" * 1_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_is_no_json_is_malformed(payload):
    """RFC 8259 in UTF-8; 1024 levels; integers of 4300 digits. The sentence quotes nothing."""
    with pytest.raises(MalformedMessage, match="are no JSON") as refusal:
        JSON_CODEC.parse(payload)
    assert "secret" not in str(refusal.value)


@given(st.binary(max_size=40))
def test_random_bytes_are_json_or_malformed(payload):
    """Nothing else comes out."""
    try:
        document = JSON_CODEC.document(JSON_CODEC.parse(payload))
    except MalformedMessage:
        return
    assert document == json.loads(payload)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30 + 1])
def test_integers_are_exact_at_any_length(number):
    """Beyond 64 bits too, where many parsers turn to floats: an amount must not change on the way to a rule."""
    assert JSON_CODEC.parse(b'{"n": [%d]}' % number) == {"n": [number]}


def test_of_equal_keys_the_last_counts():
    """As in most parsers, so that most callees see what we saw."""
    assert JSON_CODEC.parse(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"contextId": "c", "taskId": "t", "messageId": "m"}, Names("c", "t", "m")),
        ({"context_id": "c", "task_id": "t", "message_id": "m"}, Names("c", "t", "m")),
        ({"referenceTaskIds": ["r1", 5, "r2"]}, Names(reference_task_ids=("r1", "r2"))),
        ({"reference_task_ids": ["r"]}, Names(reference_task_ids=("r",))),
        ({"message": {"messageId": "m", "contextId": "c"}}, Names("c", "", "m")),
        ({"task": {"id": "t", "contextId": "c", "status": {"state": "working"}}}, Names("c", "t", "", "working")),
        ({"kind": "task", "id": "t"}, Names("", "t")),
        ({"kind": "status-update", "taskId": "t", "status": {"state": "done"}}, Names("", "t", "", "done")),
        ({"jsonrpc": "2.0", "id": "1", "result": {"kind": "task", "id": "t", "status": {}}}, Names("", "t")),
        ({"jsonrpc": "2.0", "id": "1", "params": {"message": {"messageId": "m"}}}, Names("", "", "m")),
        ({"taskId": "near", "a": {"taskId": "far"}}, Names("", "near")),
        ({"a": {"b": {"c": {"taskId": "third"}}}}, Names("", "third")),
        ({"a": {"b": {"c": {"d": {"taskId": "fourth"}}}}}, Names()),
        ({"metadata": {"taskId": "t"}, "history": {"taskId": "t"}, "tasks": [{"taskId": "t"}]}, Names()),
        ({"id": "t", "taskId": 5, "contextId": None, "referenceTaskIds": "r", "status": "ok"}, Names()),
        ([{"taskId": "t"}], Names()),
        (None, Names()),
    ],
)  # fmt: skip
def test_ids_in_json_are_found_by_their_json_names(document, names):
    """The same ids in the same places, in A2A's JSON shapes as well."""
    assert JSON_CODEC.names(JSON_CODEC.parse(json.dumps(document).encode())) == names


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"a":1}', b' \n\t{ "a": 1 }\n', b"[]", b"[1, 2]", b"[{}]", b'["a"]', b"[-1]"]
)
def test_json_objects_and_arrays_look_like_json(payload):
    """By what they begin and end with."""
    assert sniff(payload)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"}", b"1", b'"a"', b"{a}", b"[x]", b" ", b"{]x", b"\x00{}", b" " * 500 + b"{}"]
)
def test_other_payloads_do_not_look_like_json(payload):
    """Values that are no object or array are not worth a guess."""
    assert not sniff(payload)


def test_protobuf_that_begins_like_json_does_not_look_like_json():
    """A first field of 123 bytes is a line feed and an opening brace."""
    payload = wrappers_pb2.StringValue(value="a" * 123).SerializeToString()
    assert payload.startswith(b"\n{")
    assert not sniff(payload)
