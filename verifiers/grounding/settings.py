"""What a spec may tell this verifier, and the limits it puts on itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_ANSWER_CHARS = 64 << 10
MAX_SOURCE_CHARS = 128 << 10
MAX_FINDINGS = 20
MAX_SEARCHES = 200
"""Searches of the whole source text (quotations, references that no table knows) in one judgement."""
MAX_DERIVATIONS = 100
"""Numbers of one answer that are tried as sum, difference or ratio."""

KNOWN = ("min_score", "allow_derived", "trust_response", "sources")


class BadParameter(ValueError):
    """A parameter that this verifier does not know or cannot read: said, never guessed."""


@dataclass(frozen=True, slots=True)
class Settings:
    min_score: float = 1.0
    """Grounded claims over claims, from 0 to 1. Below it, the verdict is FAIL."""
    allow_derived: bool = True
    """A number that is one sum, difference, ratio or conversion away from the sources counts as grounded."""
    trust_response: bool = True
    """What the response itself marks as source material is a source."""
    sources: tuple[str, ...] = ()
    """Further places that are sources: dotted paths from `request` or `response`."""


def read(parameters: Mapping[str, str]) -> Settings:
    """Raises BadParameter for an unknown name or a value out of range."""
    for name in parameters:
        if name not in KNOWN:
            raise BadParameter(f"parameter {name} is not one of {', '.join(KNOWN)}")
    return Settings(
        min_score=_share(parameters.get("min_score", "1")),
        allow_derived=_switch("allow_derived", parameters),
        trust_response=_switch("trust_response", parameters),
        sources=_paths(parameters.get("sources", "")),
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise BadParameter("parameter min_score is a number from 0 to 1")
    return share


def _switch(name: str, parameters: Mapping[str, str]) -> bool:
    text = parameters.get(name, "true").strip().lower()
    if text not in ("true", "false", "on", "off"):
        raise BadParameter(f"parameter {name} is true or false")
    return text in ("true", "on")


def _paths(text: str) -> tuple[str, ...]:
    paths = tuple(part.strip() for part in text.split(",") if part.strip())
    for path in paths:
        if path.split(".")[0].split("[")[0] not in ("request", "response"):
            raise BadParameter("each path of parameter sources begins with request or response")
    return paths
