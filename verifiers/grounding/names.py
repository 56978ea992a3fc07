"""Names in prose: capitalised words that are not so for their place in the sentence, and acronyms.

Precision first: what opens a sentence or stands in a heading says nothing by its capital.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifiers.grounding import sentences
from verifiers.grounding.sentences import Sentence

_CAPITAL = r"[A-ZÀ-ÖØ-Þ][^\W_]*(?:[-'\u2019.&][^\W_]+)*"
_RUN = re.compile(
    rf"(?<![\w@#/'\u2019-]){_CAPITAL}(?:(?: (?:of|the|de|da|del|di|van|von|der|den|la|le|al|bin|ibn|and|&"
    rf"|for)){{0,2}} {_CAPITAL})*"
)
_JOINERS = frozenset(str.split("of the de da del di van von der den la le al bin ibn and & for"))
_COMMON = frozenset(
    str.split(
        "i january february march april may june july august september october november december monday tuesday"
        " wednesday thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues"
        " wed thu thur thurs fri sat sun dr mr mrs ms miss sir prof professor president minister chief officer"
        " director manager lord lady inc ltd llc plc gmbh corp co the a an in on at for from by and or but it this"
        " that these those he she they we you my your our their his her its as if when while after before since"
        " although though however therefore thus also no not yes all any some most many both each more less than"
        " there here what which who where why how according based overall summary note source sources answer"
        " question total figure table section chapter part step page please thank thanks dear hello hi north south"
        " east west northern southern eastern western earth internet web english christmas easter ok bc ad ce bce"
        " am pm et al eg ie vs us usa uk eu un uae id url uri http https api json xml csv html pdf faq ceo cfo cto"
        " usd eur gbp jpy utc gmt cet est pst ai it tv pc gdp vat nb ps asap tbd todo iso dna rna gps led usb cpu"
        " gpu ram sql km kg mw gw kw kwh mwh gwh mb gb tb kb hz khz mhz ghz ph celsius fahrenheit must never only"
        " warning important q a bmi ipo hq kpi sla roi eta q1 q2 q3 q4 h1 h2 fy ytd yoy etf rfp hr pr qa ux ui os"
        " day sms atm pin sku id ids kpis pcs dvd cd ph ml ide sdk cli ssh tls ssl dns ip tcp udp coo phd md bsc msc"
        " ba ma gp icu er mri ct ecg ngo plc rpm mph kph psi julian gregorian co2 co\u2082"
    )
)


@dataclass(frozen=True, slots=True)
class Name:
    start: int
    token: str
    words: tuple[str, ...]
    """Those of its words that must be known; titles, joining words and the sentence's opener left out."""
    is_acronym: bool


def read(sentence: Sentence) -> Iterator[Name]:
    """Names of one sentence, offsets within its text's whole."""
    text = sentence.text
    if _is_heading(text):
        return
    opener = len(text) - len(text.lstrip(" \n\t\"“\u2018'(*_-•>#[.0123456789)"))
    for match in _RUN.finditer(text):
        name = _name(match, opener, text)
        if name:
            yield Name(sentence.start + match.start(), name.token, name.words, name.is_acronym)


def _name(match: re.Match[str], opener: int, text: str) -> Name | None:
    parts = match.group().split(" ")
    if match.start() <= opener or text[max(0, match.start() - 2) : match.start()].strip(" (*_")[-1:] in tuple(
        ':"“\u2018|'
    ):
        parts = parts[1:]
    known = tuple(word for part in parts if (word := _bare(part)) and _counts(word))
    if not known or _is_shouting(parts):
        return None
    is_acronym = len(known) == 1 and is_initials(known[0])
    return Name(match.start(), " ".join(known), known, is_acronym)


def _bare(part: str) -> str:
    return "" if part in _JOINERS else re.sub(r"['\u2019]s?$", "", part).strip(".")


def _counts(word: str) -> bool:
    if word.lower() in _COMMON or len(word) < 2:
        return False
    return len(word) >= 3 or word.isupper()


def _is_shouting(parts: list[str]) -> bool:
    return len(parts) >= 3 and all(part.isupper() for part in parts)


def is_initials(word: str) -> bool:
    capitals, length = sum(c.isupper() for c in word), len(word.rstrip("s"))
    is_mixed = length >= 4 and capitals >= length - 1  # MoMA
    return 2 <= len(word) <= 7 and (capitals >= length or is_mixed) and word[0].isalpha()


def _is_heading(text: str) -> bool:
    """A short line of capitalised words without a full stop: a title, not a statement."""
    line = text.strip()
    if line.startswith("#") or line.endswith(":"):
        return True
    if line[-1:] in '.!?;,)"”' or "|" in line:
        return False
    tokens = [word for word in sentences.words(line) if word not in _JOINERS]
    return len(tokens) <= 10 and sum(word[0].isupper() for word in tokens) >= 0.8 * len(tokens)
