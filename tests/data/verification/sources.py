"""The sources as they lie in their files, and the places in their answers that a mutation may touch."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent / "sources"

Half = Literal["tune", "report"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One marked place of an answer: a figure, a name, a clause."""

    kind: str
    text: str
    start: int
    """Offset in the answer's text, in characters."""
    other: str = ""
    """For units, negations and quotes: the words that make it false. For synonyms: the words that do not."""
    follows_from: str = ""
    """For totals and percentages: the sum that gives them, such as `170+268.5` or `30/1250`."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Source:
    """A faithful pair of documents."""

    name: str
    subject: str
    request: dict[str, Any]
    response: dict[str, Any]
    claims: tuple[Claim, ...]

    @property
    def answer(self) -> str:
        return str(self.response["task"]["artifacts"][0]["parts"][0]["text"])

    @property
    def half(self) -> Half:
        """Decided by the name alone, so that a new source moves no other one to the other side."""
        return "tune" if hashlib.sha256(self.name.encode()).digest()[0] % 2 == 0 else "report"

    def claims_of(self, *kinds: str) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.kind in kinds)

    def answering(self, answer: str) -> dict[str, Any]:
        """The response with another text in its artifact; all the rest stays."""
        response = copy.deepcopy(self.response)
        response["task"]["artifacts"][0]["parts"][0]["text"] = answer
        return response


@functools.cache
def sources() -> tuple[Source, ...]:
    """All of them, by name."""
    return tuple(read(path) for path in sorted(FOLDER.glob("*.json")))


def read(path: Path) -> Source:
    entry = json.loads(path.read_text(encoding="utf-8"))
    answer = entry["response"]["task"]["artifacts"][0]["parts"][0]["text"]
    claims = tuple(_claim(answer, claim) for claim in entry["claims"])
    return Source(entry["name"], entry["subject"], entry["request"], entry["response"], claims)


def _claim(answer: str, entry: dict[str, Any]) -> Claim:
    start = _nth(answer, entry["text"], entry["nth"])
    return Claim(entry["kind"], entry["text"], start, entry.get("other", ""), entry.get("follows_from", ""))


def _nth(answer: str, text: str, nth: int) -> int:
    """Where the text stands for the nth time, counted from 0. A ValueError where it does not."""
    start = -1
    for _ in range(nth + 1):
        start = answer.index(text, start + 1)
    return start


def leaves(document: Any) -> Iterator[str | int | float]:
    """Every string and number of a document, in order."""
    if isinstance(document, dict):
        for value in document.values():
            yield from leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value)
    elif isinstance(document, str | int | float) and not isinstance(document, bool):
        yield document
