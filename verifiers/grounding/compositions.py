"""Figures made of a few that lie near: a total of those before it, a balance, a product of three, a whole column.

There is so little to choose from that no word need say that something was computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, combinations, islice, product
from operator import mul

from verifiers.grounding.figures import Figure
from verifiers.grounding.operands import Operand

_MAX_PARTS = 8
_MAX_BALANCE = 4
_LONG = 100
"""A value this many of its steps large is no product or balance of a few figures by accident."""


def is_plain(figure: Figure, within: Sequence[Operand], beside: Sequence[Operand], wholes: Sequence[Operand]) -> bool:
    """`within` are the other figures of its sentence, `beside` those near it, `wholes` sums and means of columns."""
    if any(abs(whole - abs(figure.value)) <= figure.tolerance for whole in _alike(figure, wholes)):
        return True
    return _is_part_sum(figure, within, beside) or _is_long_product(figure, within) or _is_balance(figure, beside)


def _alike(figure: Figure, some: Sequence[Operand]) -> list[float]:
    """Values in the figure's unit of those that may have it."""
    unit = figure.unit
    return [each.in_unit(unit) for each in some if unit is None or each.unit is None or each.is_alike(unit)]


def _is_part_sum(figure: Figure, within: Sequence[Operand], beside: Sequence[Operand]) -> bool:
    """The sum of some of the few other figures of its sentence, or of all those just before it, likewise."""
    value, slack = abs(figure.value), figure.tolerance
    run = accumulate(reversed(_alike(figure, beside)))
    if any(abs(made - value) <= slack for made in islice(run, 1, None)):
        return True
    others = _alike(figure, within)
    some = (part for size in range(2, len(others) + 1) for part in combinations(others, size))
    return len(others) <= _MAX_PARTS and any(abs(sum(part) - value) <= slack for part in some)


def _is_balance(figure: Figure, beside: Sequence[Operand]) -> bool:
    """What a few figures just before it come to, some of them taken off: 318.98 less 31.90, and 12.50 on top."""
    before = _alike(figure, beside)[-_MAX_BALANCE:]
    if abs(figure.value) < _LONG * figure.step:
        return False
    made = (sum(map(mul, before, signs)) for signs in product((1, -1, 0), repeat=len(before)))
    return any(abs(each - abs(figure.value)) <= figure.tolerance for each in made)


def _is_long_product(figure: Figure, within: Sequence[Operand]) -> bool:
    """31 EUR a night, for two nights and 27 people: a product of three figures of its sentence, in the unit of one."""
    if not 3 <= len(within) <= _MAX_PARTS or abs(figure.value) < _LONG:
        return False
    for some in combinations(within, 3):
        is_unit = figure.unit is None or any(other.is_alike(figure.unit) for other in some)
        made = math.prod(other.in_unit(figure.unit) for other in some)
        if is_unit and abs(made - abs(figure.value)) <= figure.tolerance:
            return True
    return False
