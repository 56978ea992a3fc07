"""Prices: this was used, this is what it costs."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.usage import Usage
from sidecar.errors import ConfigError
from sidecar.prices import OwnPrice, PriceBook, PriceSource
from sidecar.prices.book import MODELS_KEPT

MILLION = 1_000_000
BUNDLED = PriceBook.bundled()


def published(**prices: Any) -> str:
    """A list in the form that genai-prices publishes."""
    models = [{"id": name, "match": {"equals": name}, "prices": price} for name, price in prices.items()]
    provider = {"id": "house", "name": "House", "api_pattern": "https://house", "model_match": {"starts_with": "house"}}
    return json.dumps([{**provider, "models": models}])


def test_a_known_model_costs_what_the_list_says():
    """Exact to the micro-USD: input, cached input and output each have a price."""
    assert BUNDLED.price(Usage("gpt-4o", MILLION, 0)) == 2_500_000
    assert BUNDLED.price(Usage("gpt-4o", 0, MILLION)) == 10_000_000
    assert BUNDLED.price(Usage("gpt-4o", MILLION, 0, cache_read_tokens=MILLION)) == 1_250_000
    assert BUNDLED.price(Usage("claude-3-5-sonnet-latest", 1_000, 1_000)) == 18_000


@pytest.mark.parametrize("name", ["gpt-4o", "GPT-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "some-gateway/gpt-4o"])
def test_a_model_is_known_by_the_names_that_gateways_give_it(name: str):
    """With a date, with a provider before it."""
    assert BUNDLED.price(Usage(name, MILLION, 0)) == 2_500_000


@pytest.mark.parametrize("usage", [Usage("no-such-model", 5, 5), Usage(None, 5, 5), Usage("", 5, 5)], ids=repr)
def test_a_model_without_a_price_is_unknown_and_not_free(usage: Usage):
    """Whoever takes it for zero has a cap that is priced on fiction."""
    assert BUNDLED.price(usage) is None


def test_a_model_without_a_price_for_what_was_used_is_unknown(tmp_path: Path):
    """A model of embeddings has no price for output."""
    path = tmp_path / "prices.json"
    path.write_text(published(**{"house-embed": {"input_mtok": 3}}))
    book = PriceBook.from_file(path)
    assert book.price(Usage("house-embed", MILLION)) == 3_000_000
    assert book.price(Usage("house-embed", MILLION, 1)) is None


def test_a_price_is_rounded_up():
    """One token of a cheap model is a fraction of a micro-USD."""
    assert BUNDLED.price(Usage("gpt-4o-mini", 1, 0)) == 1
    assert BUNDLED.price(Usage("gpt-4o-mini", 0, 0)) == 0


def test_more_cached_tokens_than_input_are_no_mistake_of_ours():
    """Providers count differently; the figures are a stranger's."""
    assert BUNDLED.price(Usage("gpt-4o", 100, 0, cache_read_tokens=10**9, cache_write_tokens=10**9)) == 125


def test_a_price_of_ones_own_comes_before_the_list():
    """A contract that no list knows, or a model of the house."""
    own = {
        "gpt-4o": OwnPrice(Decimal(1), Decimal(2)),
        "house": OwnPrice(Decimal(4), Decimal("0.5"), Decimal(1), Decimal(5)),
    }
    book = PriceBook.bundled(own)
    assert book.price(Usage("GPT-4O", MILLION, MILLION)) == 3_000_000
    assert book.price(Usage("house", 100, 10, cache_read_tokens=40, cache_write_tokens=10)) == 50 * 4 + 40 + 10 * 5 + 5
    assert book.price(Usage("house", 100, 1)) == 401


async def test_a_newer_list_is_taken_when_its_file_changes(tmp_path: Path):
    """Prices change more often than sidecars do."""
    path, told = tmp_path / "prices.json", []
    path.write_text(published(**{"house-1": {"input_mtok": 3, "output_mtok": 1}}))
    source = PriceSource(path, on_reload=lambda *said: told.append(said))
    assert source.price(Usage("house-1", MILLION)) == 3_000_000
    replaced = tmp_path / "new"
    replaced.write_text(published(**{"house-1": {"input_mtok": 5, "output_mtok": 1}}))
    replaced.rename(path)
    await source.refresh()
    assert source.price(Usage("house-1", MILLION)) == 5_000_000
    assert told == [("loaded", "prices.json")]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "[" * 100_000, '[{"id": "x"}]'])
async def test_a_bad_list_never_replaces_a_good_one(tmp_path: Path, text: str):
    """It is told once, and the calls go on with the last good prices."""
    path, told = tmp_path / "prices.json", []
    path.write_text(published(**{"house-1": {"input_mtok": 3, "output_mtok": 1}}))
    source = PriceSource(path, on_reload=lambda *said: told.append(said[0]))
    path.write_text(text)
    await source.refresh()
    await source.refresh()
    assert source.price(Usage("house-1", MILLION)) == 3_000_000
    assert told == ["refused"]
    os.unlink(path)
    await source.refresh()
    assert source.price(Usage("house-1", MILLION)) == 3_000_000
    with pytest.raises(ConfigError, match=r"prices.file"):
        PriceSource(path)


def test_any_number_of_names_is_answered_in_bounded_memory():
    """Callees make up the names of models."""
    book = PriceBook.bundled()
    for number in range(MODELS_KEPT + 50):
        assert book.price(Usage(f"made-up-{number}", 1)) is None
    assert len(book._places) <= MODELS_KEPT
    assert len(book._snapshot._provider_misses) <= MODELS_KEPT
    assert book.price(Usage("gpt-4o", MILLION)) == 2_500_000


COUNTS = st.none() | st.integers(0, 10**12)


@given(
    st.sampled_from(["gpt-4o", "claude-sonnet-4", "gemini-2.5-pro", "house"]), st.tuples(COUNTS, COUNTS, COUNTS, COUNTS)
)
def test_every_usage_of_a_known_model_has_a_price_that_is_not_negative(name: str, counts: tuple[int | None, ...]):
    """Whatever figures a callee reports."""
    book = PriceBook(BUNDLED._snapshot, {"house": OwnPrice(Decimal(1), Decimal(1))})
    price = book.price(Usage(name, *counts))
    assert price is not None
    assert price >= 0
