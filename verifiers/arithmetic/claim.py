"""One statement of an answer that can be computed again, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    rule: str
    """What a false claim is reported as: `sum-wrong`."""
    is_held: bool
    message: str
    """Of a false claim: the offending number and what it should be, and nothing else of the payload."""
    pointer: str = ""
    """JSON Pointer (RFC 6901) of the value that states it."""


def claim(rule: str, is_held: bool, stated: str, expected: str) -> Claim:
    return Claim(rule, is_held, "" if is_held else f"{stated} is stated, {expected} follows from the rest")
