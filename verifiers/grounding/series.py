"""Figures that are read together: those that are one, and those that share a unit."""

from __future__ import annotations

from dataclasses import replace

from verifiers.grounding.figures import Figure

_JOINS = ("and", "or", "to", "-", "\u2013", "&", "x", "\u00d7", "by")


def read(text: str, found: list[Figure]) -> list[Figure]:
    """The figures of a text as they are meant."""
    return shared(text, joined(text, found))


def joined(text: str, found: list[Figure]) -> list[Figure]:
    """2 hours 25 minutes are one figure: 145 minutes."""
    whole: list[Figure] = []
    for figure in found:
        last = whole[-1] if whole else None
        if last and figure.start - last.end <= 6 and _is_rest(last, figure, text[last.end : figure.start]):
            whole[-1] = _added(text, last, figure)
        else:
            whole.append(figure)
    return whole


def _is_rest(last: Figure, figure: Figure, between: str) -> bool:
    if not last.unit or not figure.unit or between.strip() not in ("", "and", ","):
        return False
    is_time = last.unit.dimension == figure.unit.dimension == "time"
    return is_time and figure.value * figure.unit.factor < last.unit.factor <= 86400


def _added(text: str, last: Figure, figure: Figure) -> Figure:
    assert last.unit and figure.unit
    value = last.value * last.unit.factor / figure.unit.factor + figure.value
    return replace(figure, start=last.start, token=text[last.start : figure.end], value=value)


def shared(text: str, found: list[Figure]) -> list[Figure]:
    """In "4.1 and 9.7 ms" the first figure takes its unit, or what it counts, from the one after it."""
    for at in range(len(found) - 2, -1, -1):
        figure, following = found[at], found[at + 1]
        if figure.unit or figure.noun or following.start - figure.end > 8 or figure.is_year or figure.is_ordinal:
            continue
        between = text[figure.end : following.start].strip()
        is_series = between in _JOINS or (between == "," and at + 2 < len(found) and _ends_list(text, found, at + 1))
        if is_series and (following.unit or following.noun):
            found[at] = replace(figure, unit=following.unit, noun=following.noun)
    return found


def _ends_list(text: str, found: list[Figure], at: int) -> bool:
    return text[found[at].end : found[at + 1].start].strip(" ,") in (*_JOINS, "")
