"""Countries and their adjectives: a Polish shop is a shop in Poland, and the source said Poland."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_TABLE = """
argentina argentine argentinian|australia australian|austria austrian|belgium belgian|brazil brazilian
bulgaria bulgarian|canada canadian|chile chilean|china chinese sino|colombia colombian|croatia croatian|cuba cuban
cyprus cypriot|czechia czech|denmark danish danes dane|egypt egyptian|england english anglo|estonia estonian
ethiopia ethiopian|finland finnish finns|france french franco|germany german|ghana ghanaian|greece greek
hungary hungarian|iceland icelandic|india indian|indonesia indonesian
iran iranian|iraq iraqi|ireland irish|israel israeli|italy italian|japan japanese
kenya kenyan|korea korean|latvia latvian|lebanon lebanese|lithuania lithuanian|luxembourg luxembourgish
malaysia malaysian|malta maltese|mexico mexican|morocco moroccan|nepal nepalese|netherlands dutch holland
nigeria nigerian|norway norwegian|pakistan pakistani|peru peruvian|philippines philippine filipino|poland polish
portugal portuguese|romania romanian|russia russian|scotland scottish scots|serbia serbian|singapore singaporean
slovakia slovak|slovenia slovenian slovene|spain spanish|sweden swedish swedes|switzerland swiss|taiwan taiwanese
thailand thai|tunisia tunisian|turkey turkish|ukraine ukrainian|vietnam vietnamese|wales welsh|britain british
america american|europe european|africa african|asia asian|arctic antarctic|scandinavia scandinavian|bavaria bavarian
"""


def _nations() -> dict[str, frozenset[str]]:
    entries = (frozenset(entry.split()) for line in _TABLE.strip().splitlines() for entry in line.split("|"))
    return {word: entry for entry in entries for word in entry}


NATIONS: Mapping[str, frozenset[str]] = MappingProxyType(_nations())
"""By any word of it, all words of a nation, in lower case."""


def is_known(word: str, told: set[str]) -> bool:
    """Whether a nation is told by another word, or none is told at all: then there is nothing to compare it with."""
    nation = NATIONS.get(word.lower())
    return nation is not None and (bool(nation & told) or told.isdisjoint(NATIONS))
