"""Figures: numbers in text, in digits or in words, with the precision they state, their scale and their unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from verifiers.grounding import units
from verifiers.grounding.units import Unit

_DIGITS = re.compile(
    r"(?<![\w])(?<!\d[.,])"
    r"(?:\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,12})?|\d{1,3}(?:\.\d{3}){2,6}(?:,\d{1,12})?|\d{1,3}\.\d{3},\d{1,12}"
    r"|\d{1,3}(?:[ \u00a0\u202f\u2009'\u2019]\d{3}){1,6}(?:[.,]\d{1,12})?|\d{1,18}(?:[.,]\d{1,12})?)(?!\d)"
)
_SUFFIX = re.compile(
    r"(?P<ordinal>st\b|nd\b|rd\b|th\b)?"
    r"(?:[ \u00a0-]?(?P<scale>thousand|million|billion|trillion|bn|mn)\b|(?P<letter>[kKMB])\b)?"
    r"(?:[ \u00a0-]?(?P<unit>%|per ?cent\b|°\s?[CFcf]\b|degrees (?:Celsius|Fahrenheit)\b|(?:square|cubic) [a-z]{1,16}\b"
    r"|[a-z]{1,8}watt[ -]hours?\b|nautical miles?\b|[kKcm]?m[²2³3](?!\w)"
    r"|[^\W\d_]{1,12}/(?:[kcm]?m[²³]|[^\W\d_]{1,6})(?!\w)|[^\W\d_]{1,24}\b|[€£¥$]))?"
)
_BEFORE = re.compile(
    r"(?P<sign>[-\u2212+])?(?:US|A|C)?(?P<currency>[$€£¥]|(?:USD|EUR|GBP|JPY)\s?)?(?P<late>[-\u2212+])?$"
)
_ONES = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
)
_TENS = str.split("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = str.split("zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
WORD_VALUES = {word: value for value, word in enumerate(_ONES)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_WORDS = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<ones>{'|'.join(_ONES[1:10])}))?|(?P<unit>{'|'.join(_ONES)})"
    rf"|(?P<dozen>(?:a )?dozen)|(?P<a>an?(?= (?:hundred|thousand|million|billion)\b))"
    rf"|(?P<ordinal>{'|'.join(_ORDINALS)}))\b"
    rf"(?P<hundred>[- ]hundred\b)?",
    re.IGNORECASE,
)
_SCALES = {
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "bn": 1e9,
    "mn": 1e6,
    "k": 1e3,
    "m": 1e6,
    "b": 1e9,
}
_NO_NOUNS = frozenset(
    ("and", "or", "to", "by", "of", "in", "on", "at", "for", "from", "with", "per", "is", "are", "was")
)
_HEDGE = re.compile(
    r"(?:about|around|roughly|nearly|almost|over|under|approximately|approx\.?|some|circa|than|least|most"
    r"|close to|a good|just|~|≈)\s?"
    r"(?:an? |[$€£¥])?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Figure:
    start: int
    end: int
    token: str
    value: float
    step: float
    """One unit of the last place stated: 0.1 million for 13.4 million."""
    unit: Unit | None
    noun: str
    """The word that follows and is no unit: what is counted."""
    is_word: bool = False
    is_ordinal: bool = False
    is_hedged: bool = False
    is_signed: bool = False
    scale: float = 1.0
    """What a word after the digits multiplies them by."""

    @property
    def tolerance(self) -> float:
        """Half a step is a correct rounding; a hedged figure may be cut off anywhere within its step."""
        if self.is_word and not self.is_hedged and self.scale == 1:
            return 1e-9  # a number in words is meant exactly
        slack = self.step if self.is_hedged else self.step / 2
        return slack + 1e-9 * max(1.0, abs(self.value))

    @property
    def rounding(self) -> float:
        """Half a unit of the last digit that is not zero, where three zeros or more follow two digits or more: 292,000
        is how 291,940 is told.
        """
        digits = re.sub(r"\D", "", self.token) if self.step == 1 and not self.is_word else ""
        kept = digits.rstrip("0")
        return 10.0 ** (len(digits) - len(kept)) / 2 if len(kept) >= 2 and len(digits) - len(kept) >= 3 else 0.0

    @property
    def is_year(self) -> bool:
        """Four bare digits in the range in which prose names years."""
        return not self.unit and len(self.token) == 4 and self.token.isdigit() and 1000 <= self.value <= 2199

    def __len__(self) -> int:
        return self.end - self.start


def read(text: str) -> list[Figure]:
    """Every figure of a text by itself, in order."""
    return sorted([*_in_digits(text), *_in_words(text)], key=lambda figure: figure.start)


def _in_digits(text: str) -> Iterator[Figure]:
    for match in _DIGITS.finditer(text):
        figure = _figure(text, match.start(), match.end(), match.group())
        if figure:
            yield figure


def _figure(text: str, start: int, end: int, digits: str) -> Figure | None:
    if text[end : end + 1].isalpha() and not _SUFFIX.match(text, end).group():  # type: ignore[union-attr]
        return None
    if digits.endswith("0") and re.match(r"s\b", text[end : end + 2]):
        return None  # the 1850s, the nineties
    value, step = plain(digits)
    before = _BEFORE.search(text[max(0, start - 6) : start])
    assert before is not None
    scale, unit, noun, ordinal, stop = _suffix(text, end)
    if before["currency"]:
        scale, unit = 1e6 if text[end:stop].strip() == "m" else scale, units.find(before["currency"].strip())
    if text[end : end + 1].isalpha() and not ordinal and scale == 1.0 and not unit:
        return None
    is_hedged = bool(_HEDGE.search(text[max(0, start - 18) : start]))
    step = _trailing(digits, step) if is_hedged and scale == 1.0 else step
    signed = _sign(text, start, before)
    return Figure(start, stop, text[start:stop], value * scale * (-1 if signed else 1), step * scale, unit, noun,
                  is_ordinal=ordinal, is_hedged=is_hedged, is_signed=signed, scale=scale)  # fmt: skip


def _sign(text: str, start: int, before: re.Match[str]) -> bool:
    """A minus is a sign after a space or at the start; between digits or words it joins."""
    sign = before["sign"] or before["late"]
    at = start - len(before.group())
    return sign in ("-", "\u2212") and (at == 0 or text[at - 1] in " \n\t(:|,")


def _suffix(text: str, end: int) -> tuple[float, Unit | None, str, bool, int]:
    match = _SUFFIX.match(text, end)
    assert match is not None
    shown = match["scale"] or match["letter"]
    scale = _SCALES[shown.lower()] if shown else 1.0
    word = match["unit"] or ""
    unit = units.find(word.replace(" ", "").replace("percentage", "percent")) if word else None
    stop = match.end() if unit else max(end, match.end("scale"), match.end("letter"), match.end("ordinal"))
    return scale, unit, "" if unit or word in _NO_NOUNS else word.lower(), bool(match["ordinal"]), stop


@lru_cache(maxsize=4096)
def plain(digits: str) -> tuple[float, float]:
    """Value and step of digits with separators. A comma before exactly three digits groups thousands; before one, two
    or more than three it is a decimal comma.
    """
    whole, point, fraction = _split(digits)
    whole = re.sub(r"\D", "", whole)
    return float(f"{whole}.{fraction or 0}"), 10.0 ** -len(fraction) if point else 1.0


def _split(digits: str) -> tuple[str, str, str]:
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return digits, "", ""
    mark, tail = digits[last], digits[last + 1 :]
    repeats = digits.count(mark) > 1
    groups_only = repeats or (mark == "," and len(tail) == 3 and "." not in digits)
    return (digits, "", "") if groups_only else (digits[:last], mark, tail)


def _trailing(digits: str, step: float) -> float:
    """About 13,400 states hundreds."""
    whole = re.sub(r"\D", "", digits)
    return step if step < 1 else 10.0 ** (len(whole) - len(whole.rstrip("0")) if whole.strip("0") else 0)


def _in_words(text: str) -> Iterator[Figure]:
    for match in _WORDS.finditer(text):
        scale, unit, noun, _, stop = _suffix(text, match.end())
        value = _word_value(match)
        is_hedged = bool(_HEDGE.search(text[max(0, match.start() - 18) : match.start()]))
        step = 1.0 if scale == 1.0 else scale
        yield Figure(match.start(), stop, text[match.start() : stop], value * scale, step, unit, noun, True,
                     bool(match["ordinal"]), is_hedged, scale=scale)  # fmt: skip


def _word_value(match: re.Match[str]) -> float:
    times = 100 if match["hundred"] else 1
    if match["dozen"] or match["a"]:
        return 12.0 if match["dozen"] else 1.0 * times
    if match["ordinal"]:
        return float(_ORDINALS.index(match["ordinal"].lower()))
    words = [match[name].lower() for name in ("tens", "ones", "unit") if match[name]]
    return float(sum(WORD_VALUES[word] for word in words) * times)
