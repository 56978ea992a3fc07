"""Everything checkable in one text, read in the order in which one reading hides the digits of another."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifiers.grounding import citations, dates, figures, quotations, references, sentences, series
from verifiers.grounding.citations import Citation
from verifiers.grounding.dates import Date, Time
from verifiers.grounding.figures import Figure
from verifiers.grounding.quotations import Quotation
from verifiers.grounding.references import Reference
from verifiers.grounding.sentences import Sentence


@dataclass(frozen=True, slots=True)
class Mentions:
    text: str
    """With references, dates, times and markers blanked: what names and figures were read from."""
    sentences: list[Sentence]
    figures: list[Figure]
    dates: list[Date]
    times: list[Time]
    references: list[Reference]
    quotations: list[Quotation]
    citations: list[Citation]


_EMPHASIS = re.compile(
    r"(?<![*\\])(?P<stars>\*{1,3})(?=[^\s*])(?P<starred>[^*\n]{1,200})(?<=\S)(?P=stars)(?!\*)"
    r"|(?<![\w\\])(?P<lines>_{1,2})(?=[^\s_])(?P<lined>[^_\n]{1,200})(?<=\S)(?P=lines)(?!\w)"
)


def unmarked(text: str) -> str:
    """Without the marks of bold and italics: `**40** g` is 40 g."""
    return _EMPHASIS.sub(lambda match: match["starred"] or match["lined"], text) if "*" in text or "_" in text else text


def read(text: str) -> Mentions:
    text = unmarked(text)
    found, bare = references.read(text)
    markers = list(citations.read(bare))
    bare = references.blank(bare, sorted((m.start, m.end) for m in markers))
    days = dates.read(bare)
    bare = references.blank(bare, sorted((day.start, day.end) for day in days))
    times = dates.times(bare)
    bare = references.blank(bare, [(time.start, time.end) for time in times])
    return Mentions(bare, sentences.split(bare), series.read(bare, figures.read(bare)), days, times, found,
                    list(quotations.read(text)), markers)  # fmt: skip
