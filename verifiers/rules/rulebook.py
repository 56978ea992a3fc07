"""The parameter `rules`: a JSON list of `{id, expr, message}`, read once for each text."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, TypedDict

MAX_RULES = 64
MAX_EXPRESSION_CHARS = 4_096


class Rule(TypedDict):
    """One rule as it was written: what it is called, what must be true, what to say when it is not."""

    id: str
    expr: str
    message: str


class BadRules(Exception):
    """The parameter is not a list of rules; the message says what is wrong."""


@lru_cache(64)
def read_rules(text: str) -> tuple[Rule, ...]:
    """Raises `BadRules` where a rule is missing something, too long, or where there are none or too many."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise BadRules("The parameter 'rules' is not JSON.") from error
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_RULES:
        raise BadRules(f"The parameter 'rules' must be a list of 1 to {MAX_RULES} rules.")
    return tuple(_rule(number, entry) for number, entry in enumerate(entries))


def _rule(number: int, entry: Any) -> Rule:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("id", "expr")):
        raise BadRules(f"Rule {number} needs an 'id' and an 'expr', both strings.")
    if len(entry["expr"]) > MAX_EXPRESSION_CHARS:
        raise BadRules(f"The expression of rule {number} is longer than {MAX_EXPRESSION_CHARS} characters.")
    message = entry.get("message") or f"The rule {entry['id']!r} does not hold."
    return {"id": entry["id"], "expr": entry["expr"], "message": str(message)}
