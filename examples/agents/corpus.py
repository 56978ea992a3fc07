"""What the researcher knows: a few facts a topic, each true, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence that stands on its own."""

    text: str
    year: int | str
    """The year it happened. The collection was typed in by hand, and here and there somebody wrote words."""
    source: str

    def as_data(self) -> dict[str, str | int]:
        return {"text": self.text, "year": self.year, "source": self.source}


CORPUS: Mapping[str, tuple[Fact, ...]] = {
    "bridges": (
        Fact(
            "The Golden Gate Bridge opened in May 1937 with a main span of 1,280 metres.",
            1937,
            "Golden Gate Bridge, Highway and Transportation District",
        ),
        Fact(
            "The Akashi Kaikyo Bridge opened in April 1998 with a main span of 1,991 metres.",
            1998,
            "Honshu-Shikoku Bridge Expressway Company",
        ),
        Fact(
            "The 1915 Çanakkale Bridge opened in March 2022 with a main span of 2,023 metres.",
            2022,
            "General Directorate of Highways of Türkiye",
        ),
    ),
    "moon landings": (
        Fact("Apollo 11 set two people on the Moon on 20 July 1969.", 1969, "NASA"),
        Fact("Apollo 17, in December 1972, stayed on the surface for 75 hours.", 1972, "NASA"),
        Fact("Six Apollo landings brought back 382 kilograms of rock and soil.", 1972, "NASA"),
    ),
    "lighthouses": (
        Fact("John Smeaton's tower on the Eddystone rocks was first lit in October 1759.", 1759, "Trinity House"),
        Fact("Augustin Fresnel's lens was first used in the tower of Cordouan in 1823.", 1823, "Phare de Cordouan"),
    ),
    "tunnels": (
        Fact(
            "The Seikan Tunnel opened in March 1988 with a length of 53.85 kilometres.",
            1988,
            "Hokkaido Railway Company",
        ),
        Fact("The Channel Tunnel opened in May 1994 with a length of 50.45 kilometres.", 1994, "Getlink"),
        Fact(
            "The Gotthard Base Tunnel opened in June 2016 with a length of 57.1 kilometres.",
            2016,
            "AlpTransit Gotthard",
        ),
    ),
    "movable type": (
        Fact("Bi Sheng made movable type from baked clay.", "about 1040", "Shen Kuo, Dream Pool Essays"),
        Fact("The Jikji was printed in Korea with metal type in July 1377.", 1377, "UNESCO Memory of the World"),
        Fact("Gutenberg's Bible has 42 lines on most of its pages.", "about 1455", "Gutenberg Museum, Mainz"),
    ),
}


def look_up(query: str, limit: int) -> tuple[Fact, ...]:
    """At most `limit` facts about the topic that the query names; none where the topic is not known."""
    return CORPUS.get(query.strip().casefold(), ())[:limit]
