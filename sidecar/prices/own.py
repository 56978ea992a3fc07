"""A price of one's own: for a model that no list has, or a contract that no list knows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from sidecar.engine.usage import Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """US dollars per million tokens, which is micro-USD per token."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    """None: as any input."""
    cache_write: Decimal | None = None
    """None: as any input."""

    def price(self, usage: Usage) -> int:
        """Micro-USD, rounded up."""
        tokens, output = usage.input_tokens or 0, usage.output_tokens or 0
        read = min(usage.cache_read_tokens or 0, tokens)
        written = min(usage.cache_write_tokens or 0, tokens - read)
        total = (
            (tokens - read - written) * self.input
            + read * (self.input if self.cache_read is None else self.cache_read)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + output * self.output
        )
        return int(total.to_integral_value(ROUND_CEILING))
