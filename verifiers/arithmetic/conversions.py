"""One measure in two units: "10 km (6.2 miles)", "20 °C, or 68 °F". Currencies do not convert."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import N, Sentence
from verifiers.arithmetic.unit import UNITS, Unit

_PAIR = re.compile(
    rf"(?P<first>{N})\s?(?:\((?:or |i\.e\. )?(?P<inside>{N})\)|,\sor\s(?P<second>{N})(?=\s?[,.)]|$)"
    rf"|(?:=|\bis equal to|\bequals)\s?(?P<equal>{N})(?!\s?[-+*/×·]))"
)

_ROUNDED = Decimal("0.05")
"""A whole mile may stand for a mile and a twentieth, but never for a mile and a half."""


def conversions(sentence: Sentence) -> Iterator[Claim]:
    for found in _PAIR.finditer(sentence.text):
        group = next(name for name in ("inside", "second", "equal") if found[name])
        if _is_compound(sentence.text, found):
            continue
        yield from _judged(sentence.quantity(found, "first"), sentence.quantity(found, group))


def _is_compound(text: str, found: re.Match[str]) -> bool:
    """6 ft 2 in, 3 + 4 km, 5 x 10 m: the first number is not the whole measure."""
    before = text[: found.start()].rstrip()
    return before.endswith((N, "+", "-", "*", "/", "×", "x", "·", "–", f"{N} and", f"{N} by", f"{N} to"))


def _judged(first: Quantity, second: Quantity) -> Iterator[Claim]:
    one, other = UNITS.get(first.unit), UNITS.get(second.unit)
    if one is None or other is None or one.dimension != other.dimension or one.name == other.name:
        return
    if first.is_bound or second.is_bound:
        return
    ways = _ways(first, one, other)
    is_held = any(way.meets(second.loosely()) for way in ways)
    yield claim("unit-conversion-wrong", is_held, second.text, f"{plain(ways[0].middle)} {other.name}")


def _ways(first: Quantity, one: Unit, other: Unit) -> list[Range]:
    """In the other unit, by each meaning of the two. A temperature may be a difference, which has no offset."""
    given = Range.around(first.value, min(first.step / 2, abs(first.value) * _ROUNDED))
    ways = [given.scaled(a / b) for a in one.factors for b in other.factors]
    if one.dimension == "temperature":
        affine = (given.scaled(one.factors[0]) + Range.around(one.offset - other.offset)).scaled(1 / other.factors[0])
        return [affine, *ways]
    return ways
