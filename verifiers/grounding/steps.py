"""One step of arithmetic between operands: which results lie near a value, and how likely is that by chance?

Among a dozen figures some two always differ by 7, so that a 7 proves nothing. That two of them make 72.45 by chance is
unlikely. How likely is measured by the results that lie anywhere about the value: were they spread evenly, this many of
them would fall within its rounding.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from verifiers.grounding.figures import Figure
from verifiers.grounding.operands import Operand
from verifiers.grounding.units import Unit

_MAX_COUNT = 1000
_MAX_FACTORS = 24
"""Operands of which all ratios are taken."""
_NO_SCALE = ("", "temperature", "time", "percent")
"""Of these, so many times as much is not what the rule of three is asked for."""
Count = Callable[[float, float], int]
"""How many results lie between two bounds."""


class Pool:
    """Operands sorted by what they are to one unit: its own dimension, no unit, or another dimension."""

    def __init__(self, unit: Unit | None, operands: Iterable[Operand]) -> None:
        by_dimension: dict[str, list[float]] = defaultdict(list)
        for operand in dict.fromkeys(operands):
            by_dimension[operand.unit.dimension if operand.unit else ""].append(operand.in_unit(unit))
        self.all = sorted(value for values in by_dimension.values() for value in values)
        self.bare = sorted(by_dimension.pop("", []))
        self.own = sorted(by_dimension.pop(unit.dimension, [])) if unit else []
        self.others = {dimension: sorted(values) for dimension, values in by_dimension.items()}
        self.counts = [value for value in self.bare if value.is_integer() and 1 < value <= _MAX_COUNT][:_MAX_FACTORS]
        self.foreign = sorted([*self.bare, *(value for values in self.others.values() for value in values)])


class Steps:
    """The results of a left and a right operand, in the unit of one figure."""

    def __init__(self, figure: Figure, left: Pool, right: Pool, is_per_hundred: bool) -> None:
        self._value, self._slack = abs(figure.value), figure.tolerance
        self._step = figure.step
        self._scales = (1.0, 100.0, 0.01) if is_per_hundred else (1.0,)
        self._left, self._right = left, right
        self._dimension = figure.unit.dimension if figure.unit else ""
        self._is_rate = "/" in self._dimension
        self._is_price = figure.unit is not None and figure.unit.is_currency

    def sums(self) -> float | None:
        """The chance that a sum or difference is this by accident; None where none is."""
        return self._chance(self._count_sums, (1.0,))

    def products(self) -> float | None:
        """The same for a product or ratio."""
        return None if self._dimension == "temperature" else self._chance(self._count_products, self._scales)

    def lines(self) -> float | None:
        """The same for two lines of a bill together, each a price or so many times a price."""
        return self._chance(self._count_lines, (1.0,)) if self._is_price else None

    def proportions(self) -> float | None:
        """The same for the rule of three: 500 g for 4 people are 750 g for 6."""
        return self._chance(self._count_proportions, (1.0,)) if self._dimension not in _NO_SCALE else None

    def rates(self) -> float | None:
        """The same for so many percent of a quantity, or for that much on top or off: a tip, a tax, a discount."""
        return self._chance(self._count_rates, (1.0,)) if "percent" in self._right.others else None

    def shares(self) -> float | None:
        """The same for a ratio or a change in percent, of two quantities of one kind."""
        return self._chance(self._count_shares, (1.0,))

    def _chance(self, count: Count, scales: Sequence[float]) -> float | None:
        if not self._value or not any(self._hits(count, self._value / scale, scale) for scale in scales):
            return None
        width = max(2 * self._slack, self._step) / self._value
        return sum(count(self._value / scale / 2, self._value / scale * 1.5) for scale in scales) * width

    def _hits(self, count: Count, value: float, scale: float) -> int:
        return count(value - self._slack / scale, value + self._slack / scale)

    def _count_sums(self, low: float, high: float) -> int:
        """Of quantities of one dimension. A bare number may lack its unit only because the next one has it."""
        left, right = self._left, self._right
        if left.own or right.own:
            count = _alike(left.own, left.bare, right.own, right.bare, low, high)
            return count + _sums(left.bare, right.bare, low, high)
        count = _sums(left.bare, right.bare, low, high)
        for dimension in left.others.keys() | right.others.keys():
            mine, theirs = left.others.get(dimension, []), right.others.get(dimension, [])
            count += _alike(mine, left.bare, theirs, right.bare, low, high)
        return count

    def _count_products(self, low: float, high: float) -> int:
        """A price and a count make a price; where the figure's own dimension is unknown, any two will do."""
        left, right = self._left, self._right
        if self._is_rate or not (left.own or right.own):
            pairs = _times(left.all, right.all, low, high) + _over(left.all, right.all, low, high)
            return pairs + (0 if left is right else _over(right.all, left.all, low, high))
        count = _times(left.bare, right.bare, low, high) + _over(left.bare, right.bare, low, high)
        count += _times(left.own, right.foreign, low, high) + _over(left.own, right.foreign, low, high)
        if left is not right:
            count += _times(right.own, left.foreign, low, high) + _over(right.own, left.foreign, low, high)
        return count

    def _count_lines(self, low: float, high: float) -> int:
        own = self._right.own[:_MAX_FACTORS]
        lines = sorted({*own, *(price * count for price in own for count in self._right.counts)})
        return _sums(lines, lines, low, high)

    def _count_proportions(self, low: float, high: float) -> int:
        """Of counts, and of quantities of one other dimension."""
        alike = (self._right.counts, *(values[:_MAX_FACTORS] for values in self._right.others.values()))
        ratios = sorted({a / b for values in alike for a in values for b in values if a != b and b})
        return _times(self._right.own[:_MAX_FACTORS], ratios, low, high)

    def _count_rates(self, low: float, high: float) -> int:
        percents = self._right.others["percent"][:_MAX_FACTORS]
        rates = sorted({rate for each in percents for rate in (each / 100, 1 + each / 100, 1 - each / 100) if rate > 0})
        return _times(self._right.own or self._right.bare, rates, low, high)

    def _count_shares(self, low: float, high: float) -> int:
        left, right = self._left, self._right
        count = _ratios(left.bare, right.bare, low, high)
        for dimension in left.others.keys() | right.others.keys():
            mine, theirs = left.others.get(dimension, []), right.others.get(dimension, [])
            count += _ratios(mine, theirs, low, high) + _ratios(mine, right.bare, low, high)
            count += _ratios(left.bare, theirs, low, high)
        return count + _sums(left.own, [100.0], low, high)


def _ratios(mine: Sequence[float], theirs: Sequence[float], low: float, high: float) -> int:
    """Shares and changes in percent, either way round."""
    count = 0
    for above, below in ((mine, theirs), (theirs, mine))[: 1 if mine is theirs else 2]:
        count += _over(above, below, low / 100, high / 100) + _over(above, below, 1 + low / 100, 1 + high / 100)
        count += _over(above, below, 1 - high / 100, 1 - low / 100) if high < 100 else 0
    return count


def _alike(
    mine: Sequence[float],
    bare: Sequence[float],
    theirs: Sequence[float],
    bare_too: Sequence[float],
    low: float,
    high: float,
) -> int:
    """Both of the dimension, or one of them bare."""
    count = _sums(mine, theirs, low, high) + _sums(mine, bare_too, low, high)
    return count + (0 if mine is theirs else _sums(theirs, bare, low, high))


def _between(values: Sequence[float], low: float, high: float, start: int = 0) -> int:
    return max(0, bisect_right(values, high, start) - bisect_left(values, low, start))


def _sums(left: Sequence[float], right: Sequence[float], low: float, high: float) -> int:
    """Sums and differences. A figure added to itself is no sum, it is twice the figure."""
    is_one = left is right
    count = 0
    for at, a in enumerate(left):
        start = at + 1 if is_one else 0
        count += _between(right, low - a, high - a, start) + _between(right, a + low, a + high, start)
        count += 0 if is_one else _between(right, a - high, a - low)
    return count


def _times(left: Sequence[float], right: Sequence[float], low: float, high: float) -> int:
    """Products; of one list with itself, each counts once."""
    return sum(_between(right, low / a, high / a, at + 1 if left is right else 0) for at, a in enumerate(left) if a)


def _over(left: Sequence[float], right: Sequence[float], low: float, high: float) -> int:
    """Ratios a / b within two positive bounds."""
    return sum(_between(right, a / high, a / low) for a in left) if low > 0 else 0
