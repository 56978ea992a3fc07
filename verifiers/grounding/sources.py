"""The source material, indexed so that each question to it costs about the same however much there is."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from verifiers.grounding import (
    citations,
    keys,
    mentions,
    names,
    nations,
    quotations,
    sentences,
    settings,
    units,
    values,
)
from verifiers.grounding.dates import Date, Time
from verifiers.grounding.figures import Figure
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.names import Name
from verifiers.grounding.passages import Passage
from verifiers.grounding.references import Reference
from verifiers.grounding.sentences import Sentence
from verifiers.grounding.units import Unit

_MAX_PREFIXED_WORDS = 20_000
_RUN = re.compile(r"\b[A-Z][\w.]*(?:[ -](?:(?:of|the|and|for|de) ){0,2}[A-Z][\w.]*)+")
_NUMBER = re.compile(r"\d+")
_ITEM = re.compile(r"/\d+(?=/|$)")
_SPAN = re.compile(r"\b(\d\d)\d\d\s?[-\u2013/]\s?(\d\d)\b")
_ORDER = re.compile(
    r"\s*(?:please\s+|kindly\s+|(?:can|could|would|will) you\s+(?:please\s+)?|i (?:want|need) (?:you )?to\s+)?"
    r"(?:tell|give|summari[sz]e|write|explain|describe|list|find|research|compare|show|report|state|name|draft|answer"
    r"|look up|search|check|translate|analy[sz]e|help|provide|create|make|prepare|outline|discuss)\b",
    re.IGNORECASE,
)


class Sources:
    """Knows what the passages contain. Built once for a judgement."""

    def __init__(self, passages: Sequence[Passage], listed: int) -> None:
        self.passages = passages
        self.readings = [mentions.read(passage.text) for passage in passages]
        self.searches_left = settings.MAX_SEARCHES
        self._read_words()
        self._read_figures()
        self._read_dates()
        self._keys = {reference.key for reading in self.readings for reference in reading.references}
        self._text = quotations.normal("\n".join(passage.text for passage in passages))
        self._listed = citations.listed(passage.text for passage in passages)
        self.most_cited = max(listed, sum(not p.row for p in passages), *self._listed, *self._cited(), 0)

    def _cited(self) -> Iterator[int]:
        return (number for reading in self.readings for marker in reading.citations for number in marker.numbers)

    @property
    def is_material(self) -> bool:
        """A question or an order alone is nothing that an answer could rest on."""
        return any(
            passage.row or self._states(reading) for passage, reading in zip(self.passages, self.readings, strict=True)
        )

    @staticmethod
    def _states(reading: Mentions) -> bool:
        return any(s.words and not s.is_question and not _ORDER.match(s.text) for s in reading.sentences)

    def _read_words(self) -> None:
        texts = [p.text for p in self.passages] + [" ".join(keys.words(p.pointer)) for p in self.passages if p.row]
        spelled = {
            part for text in texts for word in sentences.words(text) for part in (word, *re.split(r"[-'\u2019]", word))
        }
        self.words = {sentences.stem(word) for word in spelled if word}
        self.folded = {sentences.fold(word) for word in spelled} | self._read_keys()
        self._prefixes = {
            w[:n] for w in sorted(self.folded)[:_MAX_PREFIXED_WORDS] for n in range(5, min(len(w), 14) + 1)
        }
        self._initials = initials(text for text in texts)
        self.rows = self._count_rows()
        self._letters = "".join(word[0].lower() for text in texts for word in sentences.words(text))

    def _read_keys(self) -> set[str]:
        """Names of fields as they are written: `q1`."""
        fields = {part for p in self.passages if p.row for part in p.pointer.split("/")}
        return {word.lower() for key in fields for word in (key, *re.split(r"[-_ ]", key)) if word}

    def _read_figures(self) -> None:
        found = sorted(
            (pair for p, reading in self._pairs() for pair in values.of(p, reading)), key=lambda pair: pair[0]
        )
        self.values = [value for value, _ in found]
        self._in_keys = {float(word) for p in self.passages for word in keys.words(p.key) if word.isdigit()}
        self._units = [unit for _, unit in found]
        self.units = {unit for unit in self._units if unit}
        self.currencies = {unit.dimension for unit in self.units | self._named_units() if unit.is_currency}
        self.spans_s = {value * unit.factor for value, unit in found if unit and unit.dimension == "time"}
        self.quantities = list(dict.fromkeys(pair for p, r in self._pairs() for pair in values.quantities(p, r)))

    def _count_rows(self) -> int:
        """Items of the longest list."""
        lists: dict[str, set[str]] = defaultdict(set)
        for passage in self.passages:
            for match in _ITEM.finditer(passage.pointer if passage.row else ""):
                lists[passage.pointer[: match.start()]].add(match.group())
        return max(map(len, lists.values()), default=0)

    def _named_units(self) -> set[Unit]:
        return {unit for word in self.folded if (unit := units.find(word))}

    def _pairs(self) -> Iterator[tuple[Passage, Mentions]]:
        return zip(self.passages, self.readings, strict=True)

    def _read_dates(self) -> None:
        self.dates = [date for reading in self.readings for date in reading.dates]
        self.times = [time for reading in self.readings for time in reading.times]
        self._dates = {reading for date in self.dates for reading in date.readings()}
        self.years = {year for year, _, _ in self._dates if year} | set(self._spans())
        self.years |= {int(word) for p in self.passages for word in _NUMBER.findall(p.pointer) if len(word) == 4}
        self.years |= {int(f.value) for reading in self.readings for f in reading.figures if f.is_year}
        self._minutes = {minute for time in self.times for minute in time.minutes}

    def _spans(self) -> Iterator[int]:
        return (int(a + b) for passage in self.passages for a, b in _SPAN.findall(passage.text))

    def near(self, value: float, tolerance: float) -> list[Unit | None]:
        """Units of the source figures that round to this one; None for one without unit."""
        low = bisect_left(self.values, abs(value) - tolerance)
        return self._units[low : min(bisect_right(self.values, abs(value) + tolerance), low + 1000)]

    def unit_of(self, figure: Figure) -> Unit | None:
        """The unit that every source figure of this value has; None where they have several or one has none."""
        found = set(self.near(figure.value, figure.tolerance))
        return found.pop() if len(found) == 1 else None

    def has_dimension(self, figure: Figure) -> bool:
        """Whether a source figure of this value is a quantity of the same dimension."""
        near = [unit for unit in self.near(figure.value, figure.tolerance) if unit]
        return figure.unit is not None and any(unit.dimension == figure.unit.dimension for unit in near)

    def has_figure(self, figure: Figure) -> bool:
        if (figure.is_year and int(figure.value) in self.years) or figure.value in self._in_keys:
            return True
        if self.near(figure.value, max(figure.tolerance, figure.rounding)) or self._has_scaled(figure):
            return True
        if figure.unit and figure.unit.dimension == "percent":
            return bool(self.near(figure.value / 100, figure.tolerance / 100))
        return figure.value < 1 and bool(self.near(figure.value * 100, figure.tolerance * 100))

    def _has_scaled(self, figure: Figure) -> bool:
        """13.4 million for 13.4 in data that says elsewhere that it counts in millions."""
        scales = (scale for word, scale in values.KEY_SCALES.items() if word in figure.token and word in self.words)
        return any(self.near(figure.value / scale, figure.tolerance / scale) for scale in scales)

    def has_date(self, date: Date) -> bool:
        return any(self._has_reading(*reading) for reading in date.readings())

    def _has_reading(self, year: int, month: int, day: int) -> bool:
        """A source may leave out what another source says: the day with its month, and the year elsewhere."""
        known = self._dates
        if (year, month, day) in known or (not year and any((y, month, day) in known for y in self.years)):
            return True
        if not day:
            return any(y == year and m == month for y, m, _ in known) or ((0, month, 0) in known and year in self.years)
        return (0, month, day) in known and (not year or year in self.years)

    def has_time(self, time: Time) -> bool:
        return any(minute in self._minutes for minute in time.minutes)

    def has_name(self, name: Name, answer_initials: set[str]) -> str:
        """Empty where the name is known; else its first word that is not."""
        short = "".join(word[0] for word in name.words).lower()
        if len(name.words) > 1 and short in self.folded:
            return ""
        return next((word for word in name.words if not self._has_word(word, answer_initials)), "")

    def _has_word(self, word: str, answer_initials: set[str]) -> bool:
        if nations.is_known(word, self.folded):
            return True
        parts = [part for part in re.split(r"[-'\u2019.&]", word) if len(part) > 2] or [word]
        return all(self._has_part(part) or nations.is_known(part, self.folded) for part in parts) or self._has_initials(
            word, answer_initials
        )

    def _has_part(self, part: str) -> bool:
        folded = sentences.fold(part)
        if folded in self.folded or sentences.stem(part) in self.words:
            return True
        return len(folded) >= 6 and folded[: max(5, len(folded) - (4 if len(folded) > 8 else 2))] in self._prefixes

    def _has_initials(self, word: str, answer_initials: set[str]) -> bool:
        short = word.lower().removesuffix("s").replace(".", "")
        if not names.is_initials(word):
            return False
        return short in self._initials or short in answer_initials or (len(short) >= 4 and short in self._letters)

    def has_reference(self, reference: Reference) -> bool:
        return reference.key in self._keys or self._search(sentences.fold(reference.token).rstrip("/"), reference.key)

    def has_quotation(self, pieces: Sequence[str]) -> bool:
        return all(self._search(piece) for piece in pieces)

    def _search(self, *texts: str) -> bool:
        """True past the limit: what was not looked at is not held against the answer, and the verdict says so."""
        self.searches_left -= 1
        return self.searches_left < 0 or any(text in self._text for text in texts if text)

    def has_label(self, label: str) -> bool:
        return all(part in self.folded or part in self._text for part in sentences.fold(label).split())


def initials(texts: Iterable[str]) -> set[str]:
    """First letters of runs of capitalised words, with and without the small words between or the first
    word, which may be an article: `who`, `fao`.
    """
    found = set()
    for run in (match.group() for text in texts for match in _RUN.finditer(text)):
        words = re.split(r"[ -]", run)
        capitals = "".join(word[0] for word in words if word[0].isupper()).lower()
        found |= {"".join(word[0] for word in words).lower(), capitals, capitals[1:]}
    return found


def sentences_of(readings: Iterable[Mentions]) -> list[tuple[Mentions, Sentence]]:
    """Every statement of the sources. A question states nothing."""
    return [(reading, s) for reading in readings for s in reading.sentences if not s.is_question]
