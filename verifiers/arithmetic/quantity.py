"""A number as an answer states it: value, precision, unit, and how sure the author claims to be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from verifiers.arithmetic.range import ZERO, Range

SCALES = {
    "hundred": Decimal(100),
    "thousand": Decimal(1000),
    "k": Decimal(1000),
    "million": Decimal(10) ** 6,
    "mn": Decimal(10) ** 6,
    "billion": Decimal(10) ** 9,
    "bn": Decimal(10) ** 9,
    "trillion": Decimal(10) ** 12,
}
WORDS = {
    word: Decimal(value)
    for value, word in enumerate(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=2
    )
} | {"fifteen": Decimal(15), "twenty": Decimal(20), "thirty": Decimal(30), "forty": Decimal(40), "fifty": Decimal(50)}
CENT = Decimal("0.01")
_FIVES = 125
"""A figure that ends in 5 may be rounded to fives where that moves it by no more than 2 %: 175, and not 25."""


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Decimal
    step: Decimal = Decimal(1)
    """Distance of two neighbours at the stated precision: 0.1 for 3.4, a million for "12 million"."""
    unit: str = ""
    """As spelled, `%`, a currency sign, or empty for a count."""
    is_exact: bool = True
    """A whole count. Decimals, scaled numbers and measured ones may have been rounded."""
    is_approximate: bool = False
    """ "About 30". """
    is_bound: bool = False
    """ "Nearly 30", "at least 30": says on which side the truth is, so it is never compared."""
    text: str = ""

    def given(self) -> Range:
        """As an operand."""
        half = ZERO if self.is_exact else self.step / 2
        return Range.around(self.value, self._loose() if self.is_approximate else half)

    def exactly(self) -> Range:
        """As a price: with two decimals it is told to the cent."""
        is_price = self.step == CENT and not self.is_approximate
        return Range.around(self.value) if is_price else self.given()

    def stated(self) -> Range:
        """As a result, which may always have been rounded to its last digit."""
        return Range.around(self.value, self._loose() if self.is_approximate else self.step / 2)

    def loosely(self) -> Range:
        """As a result that was rounded to a convenient one: 100 km is about 60 miles, 350 °F about 175 °C."""
        last = max(last_digit(self.value), self.step)
        is_five = (self.value / last) % 10 == 5 and abs(self.value) >= _FIVES * last
        convenient = last * 5 if is_five else last
        return Range.around(self.value, convenient / 2)

    def _loose(self) -> Decimal:
        return max(last_digit(self.value), self.step)


def last_digit(value: Decimal) -> Decimal:
    """What one unit of the last digit that is not zero is worth: 10 for 340, 0.1 for 3.4."""
    if value == 0:
        return Decimal(1)
    exponent = value.normalize().as_tuple().exponent
    return Decimal(1).scaleb(int(exponent))


def number(text: str) -> Decimal:
    """The decimal of digits with separators of thousands. Callers pass only what their pattern matched."""
    return Decimal(text.replace(",", "").replace("\u00a0", "").replace("\u202f", "").replace("\u2212", "-"))


def step_of(text: str) -> Decimal:
    _, _, decimals = text.partition(".")
    return Decimal(1).scaleb(-len(decimals))
