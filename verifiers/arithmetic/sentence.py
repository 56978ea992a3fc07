"""A sentence whose numbers and dates have been read, and stand in its text as one letter each.

"12 apples and 7 pears, a total of 19" is read as "N apples and N pears, a total of N". So a pattern over a sentence
says what it means, and no pattern has to know how a number, a unit or a date is spelled. The letters are of a private
use area of Unicode; what a payload has of them is blanked first.
"""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from verifiers.arithmetic import unit
from verifiers.arithmetic.calendar import PATTERN as DAY_PATTERN
from verifiers.arithmetic.calendar import Day, day_of
from verifiers.arithmetic.quantity import SCALES, WORDS, Quantity, number, step_of

N, P, D, Y, T = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
"""A quantity, a percentage, a day, a bare year, a time of day."""
Q = f"[{N}{P}]"
ANY = f"[{N}{P}{D}{Y}{T}]"

_PRIVATE = str.maketrans(dict.fromkeys((N, P, D, Y, T), " "))
_HEDGES = r"about|around|roughly|approximately|approx\.|circa|ca\.|~|≈"
_BOUNDS = r"nearly|almost|over|under|at least|at most|up to|just over|just under|well over|not quite"
_TOKEN = re.compile(
    rf"""(?=[\d$€£¥₹~≈\u2212-]|(?<!\w)[a-z])
    (?:
      (?P<day>{DAY_PATTERN})
    | (?P<time>(?<![\w.:,/-])\d{{1,2}}:\d\d(?:\s?[ap]m)?(?![\w:]))
    | (?:(?<!\w)(?:(?P<hedge>{_HEDGES})|(?P<bound>{_BOUNDS}))\s{{0,2}})?
      (?:
        (?<![\w.,/:\#^–-])(?P<sign>[-\u2212](?=[\d$€£]))?(?P<currency>[$€£¥₹])?
        (?P<digits>\d{{1,3}}(?:[,\u00a0\u202f]\d{{3}}){{1,4}}(?:\.\d{{1,9}})?|\d{{1,15}}(?:\.\d{{1,9}})?)
        (?![\d]|[.,:/^]\d)
        (?:(?P<percent>\s?(?:%|percent\b|per\ cent\b))
          |(?:\s?(?P<scale>thousand|million|billion|trillion|bn|mn|k)\b)?(?:[\s\u00a0-]?(?P<unit>{unit.PATTERN})(?![\w²/]))?)
        (?!\w|-\d)
      | (?<![\w-])(?P<word>{"|".join(WORDS)})(?![\w-])(?:\s(?P<word_unit>days?|weeks?|hours?|minutes?)\b)?
        (?!\s(?:hundred|thousand|million|billion)\b)
      )
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BREAK = re.compile(r"(?<=[.!?])\s+|\n|;")
_DISPUTED = re.compile(
    r"\b(?:wrong|incorrect|mistaken|false|miscalculat\w*|should (?:be|have been|read)|instead of|not equal"
    r"|does(?: not|n't)"
    r"|is(?: not|n't)|was(?: not|n't)|if|suppose|hypothetical\w*|claim(?:s|ed)?|mod|modulo|binary|hex\w*|octal"
    r"|base)\b|≠|!=",
    re.IGNORECASE,
)

Token = Quantity | Day | int | str


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    """With a letter for each token."""
    tokens: dict[int, Token]
    """By position in the text."""
    previous: Sentence | None = None
    """The one before it in which something could be computed."""

    @property
    def is_disputed(self) -> bool:
        """Denied, supposed, reported of somebody else, or in another arithmetic: not what the answer states."""
        return _DISPUTED.search(self.text) is not None

    def quantity(self, found: re.Match[str], group: int | str) -> Quantity:
        return self.quantity_at(found.start(group))

    def quantity_at(self, position: int) -> Quantity:
        token = self.tokens[position]
        assert isinstance(token, Quantity)
        return token

    def quantities(self, start: int, end: int) -> list[Quantity]:
        inside = (token for position, token in self.tokens.items() if start <= position < end)
        return [token for token in inside if isinstance(token, Quantity)]

    def day(self, found: re.Match[str], group: int | str) -> Day:
        token = self.tokens[found.start(group)]
        assert isinstance(token, Day)
        return token

    def year(self, found: re.Match[str], group: int | str) -> int:
        token = self.tokens[found.start(group)]
        assert isinstance(token, int)
        return token


TOKENS = 100
"""Numbers in one sentence, past which it is a table without lines rather than prose."""
CHARACTERS = 2_000
"""Of one sentence; a longer run without a full stop is no prose either."""


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences in which something could be computed: those with a number or a day, of a bounded length."""
    skeleton, tokens = _read(text)
    start, last = 0, None
    positions = iter(tokens)
    position = next(positions, None)
    for end, following in _breaks(skeleton):
        inside: dict[int, Token] = {}
        while position is not None and position < end:
            inside[position - start] = tokens[position]
            position = next(positions, None)
        if 0 < len(inside) <= TOKENS and end - start <= CHARACTERS:
            last = Sentence(skeleton[start:end], inside, replace(last, previous=None) if last else None)
            yield last
        start = following


def _breaks(skeleton: str) -> Iterator[tuple[int, int]]:
    for found in _BREAK.finditer(skeleton):
        yield found.start(), found.end()
    yield len(skeleton), len(skeleton)


def _read(text: str) -> tuple[str, dict[int, Token]]:
    text = text.translate(_PRIVATE)
    pieces: list[str] = []
    tokens: dict[int, Token] = {}
    length = last = 0
    for found in _TOKEN.finditer(text):
        read = _token(found)
        if read is None:
            continue
        letter, token = read
        before = text[last : found.start()]
        pieces += (before, letter)
        tokens[length + len(before)] = token
        length += len(before) + 1
        last = found.end()
    pieces.append(text[last:])
    return "".join(pieces), tokens


def _token(found: re.Match[str]) -> tuple[str, Token] | None:
    if found["day"]:
        day = day_of(found)
        return None if day is None else (D, day)
    if found["time"]:
        return T, found["time"]
    if found["word"]:
        return N, _quantity(found, WORDS[found["word"].lower()], Decimal(1), found["word_unit"] or "")
    return _numeral(found)


def _numeral(found: re.Match[str]) -> tuple[str, Token] | None:
    digits = found["digits"]
    if _is_year(found):
        return Y, int(digits)
    scale = SCALES[found["scale"].lower()] if found["scale"] else Decimal(1)
    value = number(digits) * scale * (-1 if found["sign"] else 1)
    if found["percent"]:
        return P, _quantity(found, value, step_of(digits), "%")
    name = "?" if found["unit"] and found["currency"] else _spelled(found["unit"])
    return N, _quantity(found, value, step_of(digits) * scale, name or found["currency"] or "")


def _is_year(found: re.Match[str]) -> bool:
    """Four digits from 1900 to 2099 and nothing else. They may be a count as well, so they are never added up."""
    digits = found["digits"]
    is_bare = not any(found[name] for name in ("sign", "currency", "percent", "scale", "unit"))
    return is_bare and len(digits) == 4 and digits.isdigit() and digits[:2] in ("19", "20")


def _spelled(name: str | None) -> str:
    """The pattern ignores case for the sake of words; symbols mean other things in another case."""
    if not name:
        return ""
    return name if name in unit.UNITS else (name.lower() if len(name) > 3 and name.lower() in unit.UNITS else "?")


def _quantity(found: re.Match[str], value: Decimal, step: Decimal, name: str) -> Quantity:
    is_measured = bool(name) and name not in "$€£¥₹" and not name.startswith(("day", "week"))
    return Quantity(
        value,
        step,
        name,
        is_exact=not is_measured and step == 1,
        is_approximate=bool(found["hedge"]),
        is_bound=bool(found["bound"]),
        text=found[0].strip(),
    )
