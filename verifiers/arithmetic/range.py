"""What a rounded number may have been: a closed interval of decimals.

An answer says 32 % and means anything from 31.5 % to 32.5 %. Whatever is computed from such numbers is an interval too,
and a statement is wrong only where the interval of what follows and the interval of what is stated do not meet. So
rounding at the stated precision is never called an error, half up and half to even alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Range:
    low: Decimal
    high: Decimal

    @classmethod
    def around(cls, value: Decimal, half_width: Decimal = ZERO) -> Range:
        return cls(value - half_width, value + half_width)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low)

    def __sub__(self, other: Range) -> Range:
        return self + (-other)

    def __mul__(self, other: Range) -> Range:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))

    def __truediv__(self, other: Range) -> Range:
        """Raises ZeroDivisionError where the divisor may be zero."""
        if other.has(ZERO):
            raise ZeroDivisionError
        return self * Range(1 / other.high, 1 / other.low)

    def scaled(self, factor: Decimal) -> Range:
        return self * Range(factor, factor)

    def has(self, value: Decimal) -> bool:
        return self.low <= value <= self.high

    def meets(self, other: Range, slack: Decimal = Decimal("1e-9")) -> bool:
        """Whether the two share a value. The slack covers the 28 digits that a division is carried to."""
        return self.low <= other.high + slack and other.low <= self.high + slack

    @property
    def middle(self) -> Decimal:
        return (self.low + self.high) / 2


def plain(value: Decimal) -> str:
    """A computed number as a person writes it: at most four decimals, no exponent, no trailing zeros."""
    text = f"{value:.4f}"
    return text.rstrip("0").rstrip(".") or "0"
