"""Shapes: the objects in which usage is reported, read into one form.

| written by | input | output | of these |
|---|---|---|---|
| OpenAI, chat completions | `prompt_tokens` | `completion_tokens` | `prompt_tokens_details.cached_tokens`, `completion_tokens_details.reasoning_tokens` |
| OpenAI, responses | `input_tokens` | `output_tokens` | `input_tokens_details`, `output_tokens_details` |
| Anthropic | `input_tokens` *without* the cached ones | `output_tokens` | `cache_creation_input_tokens`, `cache_read_input_tokens` |
| Gemini, and Google's ADK | `promptTokenCount` | `candidatesTokenCount` *without* thoughts | `cachedContentTokenCount`, `thoughtsTokenCount` |
| OpenTelemetry | `gen_ai.usage.input_tokens` | `gen_ai.usage.output_tokens` | `gen_ai.usage.cache_read.input_tokens`, `.cache_write.`, `.cache_creation.`, `.reasoning.output_tokens` |

ProtoJSON and other writers use both camelCase and snake_case, so names are compared without case and underscores.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final

from sidecar.engine.message import JSON
from sidecar.engine.usage.usage import MODEL_MAX_CHARS, NO_USAGE, TOKENS_MAX, Usage

MICRO_USD: Final = 1_000_000

OTEL: Final = "gen_ai.usage."
"""Both spellings of what is written to a cache are read: the conventions renamed cache_creation to cache_write."""
MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model", "model", "modelVersion", "model_name")

KEYS_READ: Final = 200
"""Keys of one object that are looked at: no report is longer."""


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def read_object(value: Mapping[str, JSON]) -> Usage:
    """What stands under `usage`, in any of the shapes above; NO_USAGE where it is none of them."""
    said = Said(value)
    if said.has("prompttokencount", "candidatestokencount", "totaltokencount"):
        return gemini(said)
    usage = Usage(
        input_tokens=said.tokens("inputtokens", "prompttokens"),
        output_tokens=said.tokens("outputtokens", "completiontokens"),
        cost_micro_usd=said.money("costusd", "totalcostusd"),
    )
    if usage.cost_micro_usd is None and not usage.is_empty:
        # OpenRouter's spelling. A bare `cost` that stands beside no tokens may be any cost, in any currency.
        usage = usage._replace(cost_micro_usd=said.money("cost", "totalcost"))
    anthropic = said.tokens("cachecreationinputtokens"), said.tokens("cachereadinputtokens")
    if anthropic != (None, None):
        return with_cache(usage, *anthropic)
    details = (
        said.inner("inputtokensdetails", "prompttokensdetails"),
        said.inner("outputtokensdetails", "completiontokensdetails"),
    )
    return Usage(
        None,
        usage.input_tokens,
        usage.output_tokens,
        details[0].tokens("cachedtokens", "cacheread", "cachereadtokens"),
        details[0].tokens("cachewritetokens", "cachecreationtokens"),
        details[1].tokens("reasoningtokens"),
        usage.cost_micro_usd,
    )


def read_flat(value: Mapping[str, JSON]) -> Usage:
    """`gen_ai.usage.*` keys beside others, as in metadata, attributes, headers and trailers."""
    said = Said({key[len(OTEL) :].replace(".", "_"): each for key, each in some(value) if key.startswith(OTEL)})
    currency = said.text("costcurrency")
    return Usage(
        None,
        said.tokens("inputtokens", "prompttokens"),
        said.tokens("outputtokens", "completiontokens"),
        said.tokens("cachereadinputtokens"),
        said.tokens("cachewriteinputtokens", "cachecreationinputtokens"),
        said.tokens("reasoningoutputtokens"),
        said.money("costamount", "cost", "costusd") if currency in (None, "USD") else None,
    )


def with_cache(usage: Usage, created: int | None, read: int | None) -> Usage:
    """Anthropic counts cached input beside the input; we count it in it."""
    whole = None if usage.input_tokens is None else usage.input_tokens + (created or 0) + (read or 0)
    return Usage(None, whole, usage.output_tokens, read, created, None, usage.cost_micro_usd)


def gemini(said: Said) -> Usage:
    thoughts, answer = said.tokens("thoughtstokencount"), said.tokens("candidatestokencount")
    output = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    return Usage(
        None,
        said.tokens("prompttokencount"),
        output,
        said.tokens("cachedcontenttokencount"),
        reasoning_tokens=thoughts,
    )


def model_in(value: Mapping[str, JSON]) -> str | None:
    """The model that an object names beside its usage."""
    for key in MODELS:
        if key in value and (name := model_name(value[key])) is not None:
            return name
    return None


def model_name(value: JSON) -> str | None:
    is_name = isinstance(value, str) and 0 < len(value) <= MODEL_MAX_CHARS and value.isprintable()
    return value if is_name else None


class Said:
    """An object's entries, by names without case and underscores."""

    __slots__ = ("_entries",)

    def __init__(self, value: Mapping[str, JSON]) -> None:
        self._entries = {plain(key): each for key, each in some(value)}

    def has(self, *names: str) -> bool:
        return any(name in self._entries for name in names)

    def tokens(self, *names: str) -> int | None:
        return next((count for name in names if (count := tokens_of(self._entries.get(name))) is not None), None)

    def money(self, *names: str) -> int | None:
        return next((cost for name in names if (cost := micro_usd_of(self._entries.get(name))) is not None), None)

    def text(self, name: str) -> str | None:
        value = self._entries.get(name)
        return value if isinstance(value, str) else None

    def inner(self, *names: str) -> Said:
        found: list[Any] = [self._entries[name] for name in names if isinstance(self._entries.get(name), dict)]
        return Said(found[0] if found else {})


def some(value: Mapping[str, JSON]) -> list[tuple[str, Any]]:
    return list(value.items() if len(value) <= KEYS_READ else islice(value.items(), KEYS_READ))


def tokens_of(value: JSON) -> int | None:
    """A count. Protobuf's Struct makes 12.0 of 12, and its 64-bit integers are text."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 13 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= TOKENS_MAX:
        return None
    return int(value) if value == int(value) else None


def micro_usd_of(value: JSON) -> int | None:
    """US dollars, rounded up: what cost something is never free."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or (isinstance(value, str) and len(value) > 32)
    ):
        return None
    try:
        amount = Decimal(str(value)) * MICRO_USD
        if not amount.is_finite() or not 0 <= amount <= TOKENS_MAX:
            return None
        return int(amount.to_integral_value(ROUND_CEILING))
    except (InvalidOperation, ValueError):
        return None


__all__ = [
    "MODELS",
    "NO_USAGE",
    "OTEL",
    "micro_usd_of",
    "model_in",
    "model_name",
    "read_flat",
    "read_object",
    "tokens_of",
]
