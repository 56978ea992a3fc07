"""Fingerprints and likenesses: which messages are the same, and which nearly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks.loop.detector import NEAR_BITS
from sidecar.checks.loop.fingerprint import READ_MAX_BYTES, fingerprint_of, read_by, statement_of
from sidecar.checks.loop.likeness import TEXT_MAX_CHARS, likeness_of, texts_in, weighed, words_of
from sidecar.checks.loop.reading import asked_in
from sidecar.engine.canonical import arguments_of
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.message import Direction, Message
from sidecar.engine.state.visits import distance


def fingerprint(document: Any) -> int:
    return fingerprint_of(arguments_of(document))


def likeness(text: str) -> int:
    return likeness_of(words_of(text))


def asked(text: str, **more: Any) -> Any:
    return {"message": {"messageId": "m-1", "contextId": "c-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}}


@pytest.mark.parametrize(
    "name",
    ["messageId", "message_id", "contextId", "idempotencyKey", "timestamp", "sentAt", "traceparent", "createTime"],
)
def test_a_requests_own_ids_and_times_are_ignored_by_their_field(name: str):
    """At the top, in its message and in their metadata: a new messageId hides nothing."""
    assert fingerprint(asked("find it", **{name: "1"})) == fingerprint(asked("find it", **{name: "2"}))
    assert fingerprint({**asked("find it"), name: "2"}) == fingerprint(asked("find it"))
    assert fingerprint(asked("find it", metadata={name: "2"})) == fingerprint(asked("find it", metadata={}))


@pytest.mark.parametrize("name", ["timestamp", "createdAt", "messageId"])
def test_the_same_fields_inside_the_content_are_part_of_the_question(name: str):
    """Orders of another day, or what became of another message."""
    assert fingerprint({"filter": {name: "1"}}) != fingerprint({"filter": {name: "2"}})
    assert fingerprint({"parts": [{"data": {name: "1"}}]}) != fingerprint({"parts": [{"data": {name: "2"}}]})


@pytest.mark.parametrize("name", ["messageId", "timestamp", "artifactId", "updatedAt", "last_modified"])
def test_an_answers_ids_and_times_are_ignored_at_any_depth(name: str):
    """It may hold many things that were made just now."""
    assert statement_of({"task": [{name: "1", "text": "a"}], name: "2"}) == {"task": [{"text": "a"}]}


@pytest.mark.parametrize("name", ["id", "taskId", "pageToken", "path", "query", "referenceTaskIds", "message_ids"])
def test_what_belongs_to_the_question_is_kept(name: str):
    """The task that is asked for, the next page, a path."""
    assert fingerprint({name: "1"}) != fingerprint({name: "2"})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("order 17", "order 18"),
        ("message 0189c6f2-0000-7000-8000-000000000001", "message 0189c6f2-0000-7000-8000-000000000002"),
        ("at 2026-03-01T10:00:00Z", "at 2026-03-01T10:00:01Z"),
        ("a b", "b a"),
        ("ab", "a b"),
    ],
)
def test_a_text_with_other_content_is_another_text(one: str, two: str):
    """Nothing inside a text is taken for an id by its shape."""
    assert fingerprint(asked(one)) != fingerprint(asked(two))


def test_values_of_other_types_are_other_values():
    """No two of these say the same."""
    values: list[Any] = [1, "1", [1], {"1": 1}, True, None, 1.5, "", [], {}, 2**70]
    assert len({fingerprint({"value": value}) for value in values}) == len(values)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_the_order_of_fields_means_nothing(document: Any):
    """Serialisers differ; what is said does not."""
    turned = json.loads(json.dumps(document), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert fingerprint(document) == fingerprint(turned)
    assert 0 < fingerprint(document) < 2**64


@given(st.text(alphabet=st.characters(codec=None), max_size=20))
def test_no_text_is_too_odd_to_be_compared(text: str):
    """Lone surrogates, letters of any script, nothing at all."""
    assert fingerprint(text) > 0
    assert distance(likeness_of(words_of(text.encode("utf-8", "replace").decode())), 0) <= 128


@pytest.mark.parametrize(
    ("payload", "is_read"),
    [
        (b'{"a": 1}', True),
        (b'{"a": ', False),
        (b"[" * 1000 + b"]" * 1000, False),
        (b'"' + b"x" * (READ_MAX_BYTES - 2) + b'"', True),
        (b'"' + b"x" * (READ_MAX_BYTES - 1) + b'"', False),
    ],
    ids=["plain", "malformed", "too deep", "at the limit", "past the limit"],
)
def test_what_cannot_be_read_is_nothing(payload: bytes, is_read: bool):
    """And raises nothing: such a message is judged by others."""
    message = Message(Direction.REQUEST, 0, payload, JSON_CODEC)
    for reader in (asked_in, statement_of):
        assert (read_by(reader, message) is not None) is is_read


def test_a_message_of_unknown_type_is_not_read():
    """Without a descriptor no field is known."""
    assert read_by(asked_in, Message(Direction.REQUEST, 0, b"\x0a\x03abc")) is None


def test_likeness_is_the_same_in_every_process():
    """A golden value: a fleet compares what different processes made, and a library that changes must be noticed."""
    assert likeness("the quick brown fox") == GOLDEN
    assert likeness("") == 0


GOLDEN = 0xE12BD1A951915538344FB3F9478E6AFD


@pytest.mark.parametrize(
    ("one", "two", "is_near"),
    [
        (
            "list open orders of unhappy customers since 2026-01-03",
            "list open orders of unhappy customers since 2026-02-04",
            True,
        ),
        ("Please find the report about the bridge", "find the report about the bridge again please", True),
        ("How long did patients wait?", "Give me the key facts on the bridge.", False),
        ("summarise the annual report of the port", "translate the menu of the restaurant into French", False),
        ("桥的主要数据是什么请告诉我", "请再次告诉我桥的主要数据是什么", True),
        ("桥的主要数据是什么请告诉我", "今天的天气怎么样需要带伞吗", False),
    ],
)
def test_nearness_is_about_words_in_common(one: str, two: str, is_near: bool):
    """Whatever their order, and letter by letter where a script has no spaces."""
    assert (distance(likeness(one), likeness(two)) <= NEAR_BITS) is is_near


def test_figures_weigh_more_in_an_answer():
    """`17` instead of `18` makes another answer of a sentence that is otherwise the same."""
    words = [words_of(f"The region had {orders} orders this year, a little more than before") for orders in (17, 18)]
    plain, heavy = ([likeness_of(weigh(each)) for each in words] for weigh in (set, weighed))
    assert distance(*heavy) > distance(*plain)


def test_only_so_much_text_is_looked_at():
    """What comes after the limit costs nothing and says nothing."""
    assert sum(map(len, texts_in(["x" * TEXT_MAX_CHARS, "more"]))) == TEXT_MAX_CHARS
    assert sum(map(len, texts_in(["x" * (TEXT_MAX_CHARS - 1), "more"]))) == TEXT_MAX_CHARS


def test_settings_of_a_protocol_say_nothing():
    """Counted, they would make all short questions alike."""
    assert words_of({"role": "ROLE_USER", "configuration": {"blocking": True}, "text": "why"}) == {"why"}
