"""What an answer may compute with: figures of the sources with their units, and the sums and means of whole groups."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice

from verifiers.grounding import keys, sentences, values
from verifiers.grounding.figures import Figure
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.sources import Sources
from verifiers.grounding.units import Unit

MAX_OPERANDS = 150
MAX_GROUP = 200
MAX_GROUPS = 500
MAX_TABLES = 20
MAX_COLUMNS = 6
MAX_LINES = 50
_NEXT = re.compile(r"[^\S\n]{0,2}[\w ]{0,20}(?:[,;/]|\band\b|\bplus\b|&)[\w :$€£]{0,24}")
"""Between two figures of one enumeration: few words, and a comma or what stands for one."""
_IDLE = (0, 1)
"""Nothing can be computed with these that could not be had without."""
_INDEX = re.compile(r"/\d+(?=/|$)")


@dataclass(frozen=True, slots=True)
class Operand:
    value: float
    unit: Unit | None

    def is_alike(self, unit: Unit) -> bool:
        return self.unit is not None and self.unit.dimension == unit.dimension

    def in_unit(self, unit: Unit | None) -> float:
        """The same quantity in another unit of its dimension; as it is, where there is none to convert."""
        if unit is None or self.unit is None or self.unit.dimension != unit.dimension:
            return self.value
        return (self.value * self.unit.factor + self.unit.offset - unit.offset) / unit.factor


def of_figures(figures: Iterable[Figure]) -> Iterator[tuple[Operand, Figure]]:
    """Years are no quantities: spans of them are another matter."""
    for figure in figures:
        if abs(figure.value) not in _IDLE and not figure.is_year and not figure.is_ordinal:
            yield Operand(abs(figure.value), figure.unit), figure
            if figure.scale > 1:  # so many a million
                yield Operand(abs(figure.value) / figure.scale, figure.unit), figure


def of_sources(known: Sources, whole: Iterable[Operand]) -> list[Operand]:
    """Each once, as many as are tried."""
    return list(dict.fromkeys((*_stated(known), *whole)))[:MAX_OPERANDS]


def wholes(known: Sources, groups_of: Iterable[list[Operand]]) -> Iterator[Operand]:
    """Sum and mean of each group, what the lines of a bill come to, and how many items a list has."""
    for group in groups_of:
        yield from _whole(group)
    yield from _lines(known)
    if known.rows > 1:
        yield Operand(float(known.rows), None)


def groups(known: Sources) -> list[list[Operand]]:
    """Operands that stand together: one column of a list, the values of one object, or in prose quantities with one
    unit, counts of one thing, and figures in a row.
    """
    found: dict[str, list[Operand]] = defaultdict(list)
    for passage, reading in zip(known.passages, known.readings, strict=True):
        if not passage.row:
            for operand, name in _in_prose(reading):
                found[f"{passage.pointer} {name}"].append(operand)
            continue
        operands = [Operand(value, unit) for value, unit in values.of(passage, reading)[:1] if value]
        found[_column(passage.pointer)] += operands
        if passage.is_number:
            found[passage.row] += operands
    return [group[:MAX_GROUP] for group in islice(found.values(), MAX_GROUPS) if len(group) > 1]


def _lines(known: Sources) -> Iterator[Operand]:
    """Lines of a bill, and what they come to: in each list of data, one column times another."""
    tables: dict[str, dict[str, dict[str, Operand]]] = defaultdict(lambda: defaultdict(dict))
    for passage, reading in zip(known.passages, known.readings, strict=True):
        table, _, row = passage.row.rpartition("/")
        if passage.is_number and row.isdigit() and len(tables) < MAX_TABLES:
            value, unit = values.of(passage, reading)[0]
            tables[table][passage.key][row] = Operand(value, unit)
    for columns in tables.values():
        for one, other in combinations(list(columns.values())[:MAX_COLUMNS], 2):
            prices = [each.unit for each in (*one.values(), *other.values()) if each.unit and each.unit.is_currency]
            lines = [one[row].value * other[row].value for row in islice(one, MAX_LINES) if row in other]
            if one.keys() == other.keys():
                yield Operand(sum(lines), prices[0] if prices else None)
            if prices:
                yield from (Operand(line, prices[0]) for line in lines)


def _column(pointer: str) -> str:
    """What the same field of all objects side by side has in common, be they in a list or under names."""
    around, _, key = _INDEX.sub("/*", pointer).rpartition("/")
    return f"{around.rpartition('/')[0]}/*/{key}" if around else pointer


def _in_prose(reading: Mentions) -> Iterator[tuple[Operand, str]]:
    last = run = 0
    for sentence in reading.sentences:
        for operand, figure in of_figures(sentences.within(reading.figures, sentence)):
            if abs(operand.value - abs(figure.value)) > figure.tolerance:
                continue
            run += not _NEXT.fullmatch(reading.text, last, figure.start)
            last = figure.end
            yield operand, f"run {run}"
            if operand.unit:
                yield operand, operand.unit.dimension
                continue
            if figure.noun:
                yield operand, f"noun {sentences.stem(figure.noun)}"


def _stated(known: Sources) -> Iterator[Operand]:
    yield from (Operand(value, unit) for value, unit in known.quantities if value not in _IDLE)
    for passage in known.passages:
        yield from (Operand(float(word), None) for word in keys.words(passage.key) if _is_figure(word))


def _is_figure(word: str) -> bool:
    """`per_100_g`, but no year and no number of a thing."""
    return word.isdigit() and word.strip("0") == "1" and len(word) <= 7


def _whole(group: list[Operand]) -> Iterator[Operand]:
    """Sum and mean of those that share a unit."""
    by_unit: dict[Unit | None, list[float]] = defaultdict(list)
    for operand in group:
        by_unit[operand.unit].append(operand.value)
    if len(by_unit) == 2 and None in by_unit:  # 1.2 million, 240,000 and 75,000 euros
        by_unit[next(filter(None, by_unit))] = [operand.value for operand in group]
    for unit, alike in by_unit.items():
        if len(alike) > 1:
            yield Operand(sum(alike), unit)
            yield Operand(sum(alike) / len(alike), unit)
