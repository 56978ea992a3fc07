"""Usage: what a model says that a piece of work took."""

from __future__ import annotations

from typing import Final, NamedTuple

TOKENS_MAX: Final = 10**12
"""A larger count is no count. The price of this many still fits every store's integers."""

MODEL_MAX_CHARS: Final = 128
"""A longer name of a model is no name."""


class Usage(NamedTuple):
    """One report. None: it does not say. A named tuple, because several are made for each answer."""

    model: str | None = None
    input_tokens: int | None = None
    """All of them, cached ones too (as `gen_ai.usage.input_tokens` counts)."""
    output_tokens: int | None = None
    """All of them, reasoning too."""
    cache_read_tokens: int | None = None
    """Of the input, those that were read from a cache."""
    cache_write_tokens: int | None = None
    """Of the input, those that were written to one."""
    reasoning_tokens: int | None = None
    """Of the output, those that nobody sees."""
    cost_micro_usd: int | None = None
    """Stated in money. It wins over any price."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing of how much: a model's name alone is no report."""
        return self.input_tokens is None and self.output_tokens is None and self.cost_micro_usd is None

    @property
    def size(self) -> tuple[int, int]:
        """For choosing between two reports of the same thing: the money, then the tokens."""
        return self.cost_micro_usd or 0, (self.input_tokens or 0) + (self.output_tokens or 0)

    def updated(self, later: Usage) -> Usage:
        """Reports of one response are cumulative: what a later one says holds, what it leaves out stays."""
        return self._replace(**{name: said for name, said in later._asdict().items() if said is not None})

    def plus(self, other: Usage) -> Usage:
        """Both together. Of two models the later names the sum."""
        return Usage(other.model or self.model, *map(added, self[1:], other[1:]))

    def beyond(self, counted: Usage) -> Usage:
        """What this says more than what was counted already; never less than nothing."""
        return Usage(self.model or counted.model, *map(rest, self[1:], counted[1:]))


NO_USAGE: Final = Usage()


def added(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def rest(seen: int | None, counted: int | None) -> int | None:
    return None if seen is None else max(seen - (counted or 0), 0)
