"""Rows of source data: does the answer give one row's figure to another row?

`{"river": "Rhine", "length_km": 1233}` beside `{"river": "Danube", "length_km": 2850}`: a sentence that names only the
Rhine and states 2,850 km has taken the wrong row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from verifiers.grounding import sentences
from verifiers.grounding.figures import Figure
from verifiers.grounding.sentences import Sentence
from verifiers.grounding.sources import Sources

_MAX_LABEL_WORDS = 4
_MAX_ROWS = 200
"""Rows of one list that are compared; a longer list is left alone."""
_MAX_TABLES = 8


@dataclass(slots=True)
class Row:
    labels: list[frozenset[str]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class Tables:
    """Lists of objects among the sources, and the figures that stand nowhere else."""

    def __init__(self, known: Sources) -> None:
        rows: dict[str, Row] = defaultdict(Row)
        for passage, reading in zip(known.passages, known.readings, strict=True):
            if passage.row:
                _add(rows[passage.row], passage.text, passage.is_number, (abs(f.value) for f in reading.figures))
        self._tables = list(islice(_tables(rows), _MAX_TABLES))
        self._prose = [
            abs(f.value) for p, r in zip(known.passages, known.readings, strict=True) if not p.row for f in r.figures
        ]

    def misplaced(self, sentence: Sentence, figures: Iterable[Figure]) -> Iterator[Figure]:
        """Figures of the one other row, in a sentence that names exactly one row of a table."""
        for table in self._tables:
            named = [row for row in table if any(label <= sentence.words for label in row.labels)]
            if len(named) == 1:
                others = [value for row in table if row is not named[0] for value in row.values]
                yield from (f for f in figures if self._is_misplaced(f, named[0].values, others))

    def _is_misplaced(self, figure: Figure, own: list[float], others: list[float]) -> bool:
        return _holds(others, figure) and not _holds(own, figure) and not _holds(self._prose, figure)


def _add(row: Row, text: str, is_number: bool, figures: Iterable[float]) -> None:
    if is_number:
        row.values.append(abs(float(text)))
        return
    row.values += figures
    words = frozenset(sentences.content(text))
    if words and len(words) <= _MAX_LABEL_WORDS:
        row.labels.append(words)


def _tables(rows: dict[str, Row]) -> Iterator[list[Row]]:
    """Rows that are items of one list, without the labels that two of them share."""
    lists: dict[str, list[Row]] = defaultdict(list)
    for pointer, row in rows.items():
        parent, _, index = pointer.rpartition("/")
        if index.isdigit():
            lists[parent].append(row)
    for table in lists.values():
        if 1 < len(table) <= _MAX_ROWS:
            yield _distinct(table)


def _distinct(table: list[Row]) -> list[Row]:
    counts: dict[frozenset[str], int] = defaultdict(int)
    for label in (label for row in table for label in row.labels):
        counts[label] += 1
    return [Row([label for label in row.labels if counts[label] == 1], row.values) for row in table]


def _holds(values: list[float], figure: Figure) -> bool:
    return any(abs(value - abs(figure.value)) <= figure.tolerance for value in values)
