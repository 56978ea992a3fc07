"""Figures as people write them: read, made wrong, and written in another way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

from tests.data.verification.sources import leaves

FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
FACTORS = tuple(Decimal(factor) for factor in ("0.1", "0.7", "0.85", "1.15", "1.3", "1.6", "2", "10"))


def value_of(text: str) -> Decimal:
    """The first figure of a text, without the scale that a word after it gives."""
    found = FIGURE.search(text)
    if found is None:
        raise ValueError(f"no figure in {text!r}")
    return Decimal(found[0].replace(",", ""))


def figures_of(document: Any) -> frozenset[Decimal]:
    """Every figure that a document states, in its numbers and in its texts."""
    return frozenset(
        Decimal(figure.replace(",", "")).normalize()
        for leaf in leaves(document)
        for figure in FIGURE.findall(str(leaf))
    )


def made_wrong(text: str, taken: frozenset[Decimal], chance: Random) -> str:
    """The text with another figure in it: of the same form, not a rounding of the old one, and none of those taken."""
    found = FIGURE.search(text)
    assert found is not None, text
    if ":" in text:
        return _other_minutes(text, chance)
    old = value_of(found[0])
    wrong = sorted(
        {new for new in _candidates(found[0], old) if _is_wrong(old, new, text) and new.normalize() not in taken}
    )
    return text[: found.start()] + written_like(found[0], chance.choice(wrong)) + text[found.end() :]


def written_like(model: str, value: Decimal) -> str:
    """A value with as many decimals as the model, and with commas where the model has them or is too short to."""
    places = len(model.partition(".")[2])
    has_commas = "," in model or value_of(model) < 1000
    return f"{value:,.{places}f}" if has_commas else f"{value:.{places}f}"


def _candidates(model: str, old: Decimal) -> Iterator[Decimal]:
    unit = Decimal(1).scaleb(-len(model.partition(".")[2]))
    if _is_year(model, old):
        yield from (old + years for years in range(-9, 10))
        return
    yield from ((old * factor).quantize(unit) for factor in FACTORS)
    yield from (old + step * unit for step in (-3, -2, -1, 1, 2, 3))
    yield from _transposed(old)


def _is_year(model: str, value: Decimal) -> bool:
    return len(model) == 4 and model.isdigit() and 1500 <= value <= 2100


def _transposed(old: Decimal) -> Iterator[Decimal]:
    """Two neighbours in the wrong order, the slip that people and models make."""
    digits = str(old)
    for at in range(len(digits) - 1):
        left, right = digits[at], digits[at + 1]
        if left.isdigit() and right.isdigit() and left != right and not (at == 0 and right == "0"):
            yield Decimal(digits[:at] + right + left + digits[at + 2 :])


def _is_wrong(old: Decimal, new: Decimal, text: str) -> bool:
    """A tenth away, or as exact as the old one: 500 for 499 might be meant as rounded."""
    if new <= 0 or new == old or ("%" in text and new > 100):
        return False
    return abs(new - old) * 10 >= old or _digits(new) >= _digits(old)


def _digits(value: Decimal) -> int:
    return len(value.normalize().as_tuple().digits)


def _other_minutes(text: str, chance: Random) -> str:
    """A time of day with other minutes."""
    hours, minutes = text.split(":")
    return f"{hours}:{(int(minutes) + chance.randint(4, 55)) % 60:02d}"


def written_otherwise(text: str) -> str:
    """The same figure in another form: 13.4 million and 13,400,000, 1,240 and 1240, 4 and four. Else unchanged."""
    number, _, word = text.partition(" ")
    if not FIGURE.fullmatch(number):
        return text
    value = value_of(number)
    if word in SCALES:
        return f"{value * SCALES[word]:,.0f}"
    if "," in number and value % 100_000 == 0 and value >= 1_000_000:
        return f"{(value / 1_000_000).normalize():f} million"
    if number.isdigit() and value < len(WORDS):
        return WORDS[int(value)]
    return number.replace(",", "")
