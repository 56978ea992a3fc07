"""Tokens of CEL, as far as bounds need them: names, texts, commas and brackets, in an expression known to be valid.

The lexical rules are those of the CEL language definition, section "Syntax".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<gap>\s+|//[^\n]*)
  | (?P<text>
        (?:[rR][bB]?|[bB][rR]) (?: \"{3}(?:.|\n)*?\"{3} | '{3}(?:.|\n)*?'{3} | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    )
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<other>.)
    """,
    re.VERBOSE,
)


_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


class Token(NamedTuple):
    kind: str
    """`text`, `name` or `other`."""
    text: str
    start: int
    """Characters before it."""


class Call(NamedTuple):
    """A function or macro that is called, and the tokens between its brackets."""

    name: Token
    arguments: Sequence[Token]

    @property
    def ends_with_literal(self) -> bool:
        """Whether the last argument is a text written in the expression itself, and nothing else."""
        before = self.arguments[-2].text if len(self.arguments) > 1 else ","
        return bool(self.arguments) and self.arguments[-1].kind == "text" and before == ","


def tokens(expression: str) -> list[Token]:
    found = (Token(match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(expression))
    return [token for token in found if token.kind != "gap"]


def calls(found: Sequence[Token]) -> Iterator[Call]:
    for index, token in enumerate(found[:-1]):
        if token.kind == "name" and found[index + 1].text == "(":
            yield Call(token, inside(found, index + 2))


def inside(found: Sequence[Token], start: int) -> Sequence[Token]:
    """The tokens up to the bracket that closes the one before `start`."""
    depth = 1
    for index in range(start, len(found)):
        depth += (found[index].text in _OPENING) - (found[index].text in _CLOSING)
        if depth == 0:
            return found[start:index]
    return found[start:]


def nested(found: Sequence[Token], names: Collection[str]) -> int:
    """How many calls of these names stand inside each other, at most."""
    deepest, open_calls = 0, []
    for before, token in pairwise(found):
        if token.text in _OPENING:
            open_calls.append(token.text == "(" and before.text in names)
            deepest = max(deepest, sum(open_calls))
        elif token.text in _CLOSING and open_calls:
            open_calls.pop()
    return deepest
