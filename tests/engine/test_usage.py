"""Usage: this was reported, this was understood."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.usage import NO_USAGE, Meter, Usage
from sidecar.engine.usage.search import DEPTH_MAX, PLACES_MAX
from sidecar.engine.usage.usage import TOKENS_MAX


def seen(*documents: Any) -> Usage:
    meter = Meter()
    for document in documents:
        meter.see_document(document)
    return meter.usage


OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o",
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}
RESPONSES = {
    "type": "response.completed",
    "response": {
        "id": "resp-1",
        "object": "response",
        "model": "gpt-4o",
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    },
}
GEMINI = {
    "modelVersion": "gpt-4o",
    "usageMetadata": {
        "promptTokenCount": 100,
        "candidatesTokenCount": 15,
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 40,
    },
}
FLAT = {
    "gen_ai.request.model": "alias",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 40,
    "gen_ai.usage.reasoning.output_tokens": 5,
}


@pytest.mark.parametrize("document", [OPENAI, RESPONSES, GEMINI, FLAT, {"gen_ai": OPENAI}], ids=str)
def test_every_provider_is_read_into_one_form(document: Any):
    """Cached tokens are part of the input, reasoning is part of the output."""
    assert seen(document) == Usage("gpt-4o", 100, 20, 40, None, 5)


def test_cached_input_of_anthropic_is_counted_beside_its_input():
    """Its `input_tokens` leave out what was written to the cache and what was read from it."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3_000,
        "output_tokens": 7,
    }
    assert seen({"type": "message", "id": "msg", "model": "claude", "usage": usage}) == Usage(
        "claude", 3_210, 7, 3_000, 200
    )


@pytest.mark.parametrize("spelling", ["cache_write", "cache_creation"])
def test_both_spellings_of_what_is_written_to_a_cache_are_read(spelling: str):
    """The conventions renamed it, and agents of both ages are about."""
    assert seen({"gen_ai.usage.input_tokens": 9, f"gen_ai.usage.{spelling}.input_tokens": 4}).cache_write_tokens == 4


@pytest.mark.parametrize(
    "document",
    [
        {"task": {"id": "t", "metadata": FLAT}},
        {"task": {"id": "t", "status": {"message": {"metadata": {"adk_usage_metadata": GEMINI["usageMetadata"]}}}}},
        {"statusUpdate": {"taskId": "t", "metadata": {"usage": OPENAI["usage"]}}},
        {"task": {"artifacts": [{"parts": [{"data": OPENAI}]}]}},
    ],
    ids=str,
)
def test_usage_is_found_wherever_an_a2a_answer_carries_it(document: Any):
    """Agents put it in metadata, in an artifact, or pass on what their provider said."""
    usage = seen(document)
    assert (usage.input_tokens, usage.output_tokens) == (100, 20)


def test_nothing_used_is_a_report_too():
    """It is not the same as saying nothing."""
    assert seen({"usage": {"input_tokens": 0, "output_tokens": 0}}) == Usage(None, 0, 0)
    assert seen({"usage": {"cost_usd": 0}}) == Usage(cost_micro_usd=0)


def test_numbers_of_protobuf_are_numbers():
    """A Struct makes 12.0 of 12, and ProtoJSON writes 64-bit integers as text."""
    assert seen({"usage": {"inputTokens": 12.0, "outputTokens": "34"}}) == Usage(None, 12, 34)


def test_a_summary_counts_and_its_parts_do_not():
    """What stands nearer to the root is about all that is below it."""
    inner = {"metadata": {"usage": {"input_tokens": 900, "output_tokens": 900}}}
    assert seen(
        {"task": {"metadata": {"usage": {"input_tokens": 5, "output_tokens": 6}}, "history": [inner]}}
    ).size == (0, 11)


def test_equal_places_without_an_id_make_one_report_in_any_order():
    """A map of a protobuf has no order, and a history repeats what was paid before."""
    turns = [{"metadata": {"usage": {"input_tokens": count, "output_tokens": 1}}} for count in (3, 9, 5)]
    assert seen({"history": turns}) == seen({"history": turns[::-1]}) == Usage(None, 9, 1)


def test_responses_with_ids_of_their_own_add_up():
    """Two calls of a model within one answer are two costs."""
    two = [{**OPENAI, "id": f"chatcmpl-{number}"} for number in (1, 2)]
    assert seen({"parts": two}).input_tokens == 200
    assert seen(*two).input_tokens == 200
    assert seen(two[0], two[0]).input_tokens == 100


def test_the_last_report_of_an_anthropic_stream_counts():
    """Its deltas are cumulative and bear no id; the input is told at the start only."""
    start = {
        "type": "message_start",
        "message": {
            "type": "message",
            "id": "m1",
            "model": "claude",
            "usage": {"input_tokens": 25, "output_tokens": 1},
        },
    }
    deltas = [{"type": "message_delta", "usage": {"output_tokens": count}} for count in (5, 15)]
    assert seen(start, *deltas) == Usage("claude", 25, 15)
    second = {"type": "message_start", "message": {**start["message"], "id": "m2"}}
    assert seen(start, *deltas, second, deltas[0]) == Usage("claude", 50, 20)


def test_the_last_chunk_of_an_openai_stream_counts():
    """All others say null."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": None}
    last = {**chunk, "usage": {"prompt_tokens": 7, "completion_tokens": 8}}
    assert seen(chunk, chunk, last) == Usage("gpt-4o", 7, 8)


def test_reports_without_ids_are_cumulative():
    """The last says it all: adding them up would charge a long stream many times over."""
    assert seen(
        *({"metadata": {"usage": {"input_tokens": 5, "output_tokens": count}}} for count in (1, 2, 30))
    ) == Usage(None, 5, 30)


def test_money_is_read_and_rounded_up():
    """What cost something is never free."""
    assert seen({"usage": {"input_tokens": 1, "cost": 0.0000001}}).cost_micro_usd == 1
    assert seen({"usage": {"cost_usd": "1.25"}}).cost_micro_usd == 1_250_000
    assert seen({"gen_ai.usage.cost.amount": 2, "gen_ai.usage.cost.currency": "USD"}).cost_micro_usd == 2_000_000


@pytest.mark.parametrize(
    "document",
    [
        {"gen_ai.usage.cost.amount": 2, "gen_ai.usage.cost.currency": "EUR"},
        {"usage": {"cost": 12}},
        {"usage": {"input_tokens": -1, "output_tokens": True}},
        {"usage": {"input_tokens": 1.5, "output_tokens": TOKENS_MAX + 1}},
        {"usage": {"input_tokens": float("nan"), "output_tokens": float("inf")}},
        {"usage": {"input_tokens": "1e9", "output_tokens": "٣"}},
        {"usage": [1, 2]},
        {"usage": "much"},
        {"disk": {"input_tokens": 5}},
        "usage",
        None,
        [],
    ],
    ids=str,
)
def test_what_is_no_usage_is_passed_over(document: Any):
    """Other currencies, other numbers, other words."""
    assert seen(document) == NO_USAGE


def test_headers_and_trailers_tell_usage_too():
    """In the conventions' words, or LiteLLM's."""
    meter = Meter()
    meter.see_metadata([("gen_ai.usage.input_tokens", "12"), ("gen_ai.response.model", "gpt-4o"), ("other", "x")])
    assert meter.usage == Usage("gpt-4o", 12)
    meter.see_metadata([("x-litellm-response-cost", "0.002"), ("gen_ai.usage.output_tokens-bin", b"1")])
    assert meter.usage.cost_micro_usd == 2_000


@pytest.mark.parametrize(("depth", "is_found"), [(0, True), (1, True), (DEPTH_MAX - 1, True), (DEPTH_MAX, False)])
def test_the_search_goes_so_deep_and_no_deeper(depth: int, is_found: bool):
    """A limit on everything."""
    document: Any = {"usage": {"input_tokens": 1}}
    for _ in range(depth):
        document = {"inner": document}
    assert (seen(document) != NO_USAGE) is is_found


@pytest.mark.parametrize(
    "document",
    [
        [{"a": {"b": [{}] * 50}}] * 50_000,
        {str(number): {"usage": number} for number in range(100_000)},
        {"usage": {str(number): {} for number in range(100_000)}},
        [[[[[{}] * 300] * 300] * 300] * 300] * 300,
    ],
    ids=["wide lists", "wide object", "wide usage", "exponential"],
)
def test_hostile_documents_are_left_quickly(document: Any):
    """Nobody makes a sidecar work by writing a large answer."""
    started_s = time.perf_counter()
    assert seen(document) == NO_USAGE
    assert time.perf_counter() - started_s < 0.5
    assert PLACES_MAX == 2_000


WORDS = st.sampled_from(
    [
        "usage",
        "usageMetadata",
        "input_tokens",
        "prompt_tokens",
        "output_tokens",
        "cost",
        "cost_usd",
        "model",
        "id",
        "type",
        "metadata",
        "x",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cost.amount",
        "input_tokens_details",
        "cached_tokens",
        "gen_ai.response.id",
        "cache_read_input_tokens",
        "promptTokenCount",
        "candidatesTokenCount",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just("9" * 13)
HOSTILE = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=40
)


@given(st.lists(HOSTILE, max_size=4))
def test_no_document_breaks_the_meter_or_yields_an_impossible_figure(documents: list[Any]):
    """Figures are whole, not negative and bounded, whatever stands in a callee's answers."""
    usage = seen(*documents)
    for figure in (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cost_micro_usd):
        assert figure is None or (type(figure) is int and 0 <= figure <= 4 * 64 * 3 * TOKENS_MAX)
    assert usage.model is None or len(usage.model) <= 128


@given(
    st.lists(
        st.tuples(
            st.text(max_size=30) | st.just("gen_ai.usage.input_tokens"), st.text(max_size=20) | st.binary(max_size=5)
        )
    )
)
def test_no_metadata_breaks_the_meter(metadata: list[tuple[str, Any]]):
    """Trailers are a stranger's words too."""
    meter = Meter()
    meter.see_metadata(metadata)
    assert meter.usage.input_tokens is None or meter.usage.input_tokens >= 0


@pytest.mark.parametrize("count", [0, 1, 64, 65, 500])
def test_any_number_of_responses_adds_up_in_bounded_memory(count: int):
    """Ids are the callee's to make up."""
    meter = Meter()
    for number in range(count):
        meter.see_document({**OPENAI, "id": f"{number}"})
    assert (meter.usage.input_tokens or 0) == 100 * count
