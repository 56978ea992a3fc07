"""Quantities that two or three others make: an area of lengths, a speed of a length and a time, hours of kWh and kW."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

from verifiers.grounding.figures import Figure
from verifiers.grounding.operands import Operand

_MAX_FACTORS = 12
_PRODUCTS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "energy": (("power", "time"),),
        "length": (("length/time", "time"),),
        "volume": (("volume/time", "time"), ("volume/area", "area")),
        "area": (("length", "length"),),
    }
)
_RATIOS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "power": (("energy", "time"),),
        "time": (("energy", "power"), ("length", "length/time"), ("volume", "volume/time")),
    }
)
_LITRES = 1000
"""In a cubic metre; the litre is the unit of volume here."""


def is_compound(figure: Figure, some: Sequence[Operand]) -> bool:
    """Whether operands of other dimensions make this figure. Each is taken in the base unit of its dimension."""
    if figure.unit is None:
        return False
    value, slack = abs(figure.value) * figure.unit.factor, figure.tolerance * figure.unit.factor
    return any(abs(made - value) <= slack for made in _made(figure.unit.dimension, _by_dimension(some)))


def _by_dimension(some: Sequence[Operand]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in some:
        values = found.setdefault(each.unit.dimension, []) if each.unit else []
        if each.unit and len(values) < _MAX_FACTORS:
            values.append(each.value * each.unit.factor)
    return found


def _made(dimension: str, values: dict[str, list[float]]) -> Iterator[float]:
    above, slash, below = dimension.partition("/")
    ratios = ((above, below),) if slash else _RATIOS.get(dimension, ())
    for left, right in ratios:
        yield from (a / b for a in values.get(left, ()) for b in values.get(right, ()) if b)
    for left, right in _PRODUCTS.get(dimension, ()):
        yield from (a * b for a in values.get(left, ()) for b in values.get(right, ()))
    if dimension == "volume":
        lengths = values.get("length", ())
        yield from (math.prod(sides) * _LITRES for sides in combinations(lengths, 3))
