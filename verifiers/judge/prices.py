"""What a model costs, from a table that the operator keeps: we ship no prices, because they change without notice.

The file is JSON: `{"model-name": {"input_usd_per_million": 0.15, "output_usd_per_million": 0.60}}`. One US dollar for
a million tokens is one micro-dollar for a token, so the products below need no other factor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from verifiers.base import Usage


class BadPrices(Exception):
    """The table is not one; the message says where."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, each way."""

    input_usd_per_million: Decimal
    output_usd_per_million: Decimal

    def micro_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Rounded up: a price below one micro-dollar is not nothing."""
        cost = input_tokens * self.input_usd_per_million + output_tokens * self.output_usd_per_million
        return int(cost.to_integral_value(ROUND_CEILING))


def read_prices(text: str) -> dict[str, Price]:
    """Raises `BadPrices`."""
    try:
        table = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except ValueError as error:
        raise BadPrices("the price table is not JSON") from error
    if not isinstance(table, dict):
        raise BadPrices("the price table must be an object with a model's name as key")
    return {model: _price(model, entry) for model, entry in table.items()}


def _price(model: str, entry: Any) -> Price:
    names = ("input_usd_per_million", "output_usd_per_million")
    entries = [entry.get(name) for name in names] if isinstance(entry, dict) else []
    values = [value for value in entries if isinstance(value, Decimal) and value >= 0]
    if len(values) != len(names):
        raise BadPrices(f"the price of {model!r} needs {names[0]} and {names[1]}, neither below 0")
    return Price(*values)


@dataclass(slots=True)
class Meter:
    """Counts the tokens of all attempts of one judgement; each answer was paid for, the useless ones too."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    is_complete: bool = True
    """False once an answer came without its tokens: the sum is then too low to be a cost."""
    answers: int = 0

    def add(self, reply: Mapping[str, Any]) -> None:
        """Takes `usage` and `model` of one reply of the wire."""
        self.answers += 1
        usage = reply.get("usage")
        counts = [_count(usage, "prompt_tokens"), _count(usage, "completion_tokens")]
        self.is_complete = self.is_complete and None not in counts
        self.input_tokens += counts[0] or 0
        self.output_tokens += counts[1] or 0

    def usage(self, prices: Mapping[str, Price]) -> Usage | None:
        """None where no answer came. The price is that of the model we asked for, which is what the bill says."""
        if not self.answers:
            return None
        price = prices.get(self.model)
        is_priced = price is not None and self.is_complete
        cost = price.micro_usd(self.input_tokens, self.output_tokens) if price and is_priced else 0
        return Usage(self.model, self.input_tokens, self.output_tokens, cost, is_priced)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
