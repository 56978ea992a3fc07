"""What conversations are about, and how people and models say the same thing again."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tests.data.verification.sources import Half, Source, sources

OPENERS = ("", "", "Please ", "Again: ", "Could you ", "Once more, ", "I still need this: ", "Let's retry. ", "Hmm. ")
CLOSERS = ("", "", " Thanks.", " Be thorough.", " This is important.", " Take your time.", " Check again.", " Please.")
SYNONYMS = (
    ("find", "locate"),
    ("give", "provide"),
    ("short", "brief"),
    ("summary", "overview"),
    ("check", "verify"),
    ("report", "document"),
    ("all", "every"),
    ("show", "list"),
    ("results", "matches"),
    ("what", "which"),
)
SORRY = (
    "I could not find anything that matches. Could you refine the request?",
    "I could not find anything matching. Could you refine the request, please?",
    "Sorry, I could not find anything that matches. Could you refine the request?",
    "I could not find anything that matches that. Could you refine the request?",
)
SORRY_OTHERWISE = (
    "Unfortunately there seem to be no entries of that kind in the archive at the moment.",
    "My search came back empty; maybe another spelling helps.",
    "Nothing suitable turned up, I am afraid.",
    "There is no such record as far as I can tell.",
)
PRODUCTS = ("kettle", "desk lamp", "rain jacket", "office chair", "headphones", "backpack", "bicycle pump", "tent")
REGIONS = ("north", "south", "east", "west", "central", "coast", "islands", "capital")
CITIES = ("Lisbon", "Oslo", "Graz", "Porto", "Turin", "Lyon", "Ghent", "Bergen", "Split", "Brno", "Vigo", "Linz")
PEOPLE = ("Amara Diallo", "Jonas Berg", "Mina Okafor", "Luis Prado", "Hanna Wolff", "Ravi Menon", "Sofia Lindqvist")
TROUBLES = (
    "the printer prints blank pages",
    "login fails after the password was changed",
    "invoices are sent twice",
    "the export to spreadsheets stops half way",
    "search shows articles that are sold out",
    "the map on the contact page stays grey",
    "push messages arrive a day late",
)
FUNCTIONS = (
    "parse_date",
    "load_config",
    "merge_rows",
    "send_mail",
    "to_money",
    "retry_call",
    "split_lines",
    "open_feed",
)


def subjects(half: Half) -> list[Source]:
    return [source for source in sources() if source.half == half]


def question_of(source: Source) -> str:
    parts = source.request["message"]["parts"]
    return next(str(part["text"]) for part in parts if "text" in part)


def sentences_of(source: Source) -> list[str]:
    return [each for each in re.split(r"(?<=[.!?])\s+", source.answer) if len(each) > 20]


def reworded(rng: random.Random, text: str) -> str:
    """The same request, as somebody says it who was not heard: other small words, the same matter."""
    for one, two in rng.sample(SYNONYMS, 3):
        text = re.sub(rf"\b{one}\b", two, text)
    return f"{rng.choice(OPENERS)}{text}{rng.choice(CLOSERS)}"


def spread(rng: random.Random, items: Sequence[str], count: int) -> list[str]:
    """`count` items, each as often as the others."""
    many = [*items] * (count // len(items) + 1)
    chosen = many[:count]
    rng.shuffle(chosen)
    return chosen
