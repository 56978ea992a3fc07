"""Numbers of the sources with their units: each as it may be meant, or each once, to compute with."""

from __future__ import annotations

from collections.abc import Iterator

from verifiers.grounding import keys
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.passages import Passage
from verifiers.grounding.units import Unit

KEY_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "meur": 1e6, "musd": 1e6, "mgbp": 1e6, "keur": 1e3}
"""Words of a key that say what its number counts in."""


def of(passage: Passage, reading: Mentions) -> list[tuple[float, Unit | None]]:
    """Figures of one passage, each as it may be meant, with its unit."""
    return list(_number(passage) if passage.is_number else _values(passage, reading))


def _values(passage: Passage, reading: Mentions) -> Iterator[tuple[float, Unit | None]]:
    around = keys.unit_at(passage.pointer) if passage.row else None
    for figure in reading.figures:
        yield abs(figure.value), figure.unit or around
        if figure.token.endswith("m") and figure.unit and figure.unit.is_currency:
            yield abs(figure.value) * 1e6, None


def _number(passage: Passage) -> Iterator[tuple[float, Unit | None]]:
    value = abs(float(passage.text))
    yield value, keys.unit_at(passage.pointer)
    for word in keys.words(passage.key):
        if scale := KEY_SCALES.get(word.removesuffix("s")):
            yield value * scale, None


def quantities(passage: Passage, reading: Mentions) -> Iterator[tuple[float, Unit | None]]:
    """What can be computed with: no years, no ordinals, and nothing twice in two scales."""
    if passage.is_number:
        yield from list(_number(passage))[:1]
        return
    around = keys.unit_at(passage.pointer) if passage.row else None
    for figure in reading.figures:
        if not figure.is_year and not figure.is_ordinal:
            yield abs(figure.value), figure.unit or around
