"""CEL, the Common Expression Language: one expression, compiled once, that is true or false for a message.

The engine is Google's own (cel-cpp): typed at load, patterns linear in the text (RE2), at most 10,000 steps through
lists in one evaluation, 32 levels of nesting. It leaves three things open, which are closed here: `contains` with a
needle from the message is quadratic, so Python's takes its place; `matches` takes no pattern from a message; and what a
step may cost is bounded by `Work`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # It ships stubs and no marker that says so.
from cel_expr_python.ext import ext_math, ext_optional  # type: ignore[import-untyped]  # As above.

from sidecar.engine.message import Direction
from sidecar.engine.specs.flaws import BrokenRule
from sidecar.engine.specs.sentences import quoted, shown
from sidecar.engine.specs.tokens import Call, Token, calls, nested, tokens

MAX_CHARS = 4_096
"""Characters of an expression."""

MAX_STEPS = 10_000
"""Steps through lists in one evaluation, nested ones multiplied. It is the engine's own limit."""

MAX_COPIED = 500
"""Items of the longest list in a message under `map` and `filter`: the engine copies the result at every item."""

MAX_WORK_BYTES = 1 << 28
"""Bytes of messages times steps through lists. The slowest step known (`size` of a text) takes about 1.5 ns a byte."""

MAX_POWER = 14
"""Nesting from which on lists of two make more than MAX_STEPS."""

_COMMON = {
    "request": cel.Type.DYN,
    "edge.caller": cel.Type.STRING,
    "edge.callee": cel.Type.STRING,
    "edge.method": cel.Type.STRING,
    "sequence": cel.Type.INT,
}
VARIABLES: Mapping[Direction, Mapping[str, Any]] = MappingProxyType(
    {
        Direction.REQUEST: MappingProxyType(_COMMON),
        Direction.RESPONSE: MappingProxyType({**_COMMON, "response": cel.Type.DYN}),
    }
)
"""What an expression may look at, and its type."""

_LINEAR = "includes"
"""Stands in for `contains`. As long as that word, so that columns in complaints are right."""

_COPIES = frozenset({"map", "filter"})
_MACROS = _COPIES | {"all", "exists", "exists_one"}
_COMPLAINT = re.compile(r"ERROR: <input>:\d+:(\d+): ([^\n]*)")
_MISSING_KEY = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
_OVERLOAD = re.compile(
    r"No matching overloads found : ([\w@!?:<>=+*/%&|.\[\]-]*\([\w<>(), .*]*\)(?:\.\w+\([\w, ]*\))?)"
)

_KNOWN_FAILURES: Mapping[str, str] = MappingProxyType(
    {
        "Index error": "reads an item that is not there",
        "Applying SELECT to non-message type": "reads a key of something that is no object",
        "divide by zero": "divides by zero",
        "modulus by zero": "divides by zero",
        "overflow": "leaves the range of 64-bit integers",
        "out of range": "meets a number outside the range of 64-bit integers",
        "cannot convert": "converts a text that is no number",
        "conversion failed": "converts a text that is no such value",
    }
)
"""What the engine says, in part, and what we make of it: its own words may quote the message."""


class Unevaluated(Exception):
    """An expression has no value for this message. The text says why and never quotes the message."""


class Exhausted(Exception):
    """An evaluation came to the end of what it may take."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much work an expression makes of a message, judged by its text."""

    macros: int
    """How many times it goes through a list."""
    nested: int
    """How many of these stand inside each other."""
    growth: int
    """How many lists or texts it could join into one: `+` joins two, and one under `map` does so once more a `map`."""
    literal: int
    """Items of the longest list that it could write itself."""
    copies: bool
    """Whether it uses `map` or `filter`."""

    def is_small(self, size_bytes: int) -> bool:
        """Whether messages of this size are within bounds whatever is in them."""
        most = MAX_STEPS if self.macros else 1
        return not self.copies and size_bytes * self.growth * most <= MAX_WORK_BYTES

    def is_too_much(self, longest: int, size_bytes: int) -> bool:
        """Whether messages of this size, with this longest list, are more than it may take."""
        items = max(longest * self.growth, self.literal)
        if self.copies and items > MAX_COPIED:
            return True
        steps: int = min(max(self.macros, 1) * items ** min(self.nested, MAX_POWER), MAX_STEPS)
        return size_bytes * self.growth * steps > MAX_WORK_BYTES


class Expression:
    """A compiled expression. Raises BrokenRule."""

    __slots__ = ("_names", "_program", "text", "work")

    def __init__(self, text: str, direction: Direction) -> None:
        if len(text) > MAX_CHARS:
            raise BrokenRule(f"{len(text)} characters", f"at most {MAX_CHARS} characters")
        found = tokens(text)
        self.text = text
        self._program = program(text, found, direction)
        self._names = frozenset(token.text.strip("'\"") for token in found if token.kind != "other")
        self.work = work_of(found)
        if self.work.copies and max(self.work.growth, self.work.literal) > MAX_COPIED:
            raise BrokenRule(shown(text), "fewer `+` and shorter lists beside `map` and `filter`, which copy them")

    def holds(self, activation: Any) -> bool:
        """Its value for a message. Raises Unevaluated where there is none, Exhausted at the end of its bound."""
        try:
            value = self._program.eval(activation)
        except RuntimeError as error:
            if "budget" in str(error):
                raise Exhausted(f"takes more than {MAX_STEPS} steps through lists") from error
            raise
        plain = value.value()
        if isinstance(plain, bool):
            return plain
        raise Unevaluated(self._why(value, plain))

    def _why(self, value: Any, plain: object) -> str:
        if value.type() != cel.Type.ERROR:
            return f"gives {value.type().name().partition('<')[0].lower()} where a rule gives true or false"
        said = str(plain)
        if key := _MISSING_KEY.search(said):
            return f"needs the key {quoted(key[1])}, which is not there" if key[1] in self._names else _UNKNOWN_KEY
        if overload := _OVERLOAD.search(said):
            return f"meets types that do not go together: {overload[1].replace(_LINEAR, 'contains')}"
        known = (sentence for part, sentence in _KNOWN_FAILURES.items() if part in said)
        return next(known, f"has no value ({said.partition(':')[0][:32]})")

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


_UNKNOWN_KEY = "needs a key that is not there, named by the message itself"


def activation(direction: Direction, data: Mapping[str, Any]) -> Any:
    """What all expressions about one message share. Documents are converted when the first of them looks."""
    return environment(direction).Activation(data)


@lru_cache(maxsize=2)
def environment(direction: Direction) -> Any:
    overload = cel.Overload(
        "text_includes_text", cel.Type.BOOL, [cel.Type.STRING, cel.Type.STRING], True, lambda text, part: part in text
    )
    return cel.NewEnv(
        variables=dict(VARIABLES[direction]),
        functions=[cel.FunctionDecl(_LINEAR, [overload])],
        extensions=[ext_optional.ExtOptional(), ext_math.ExtMath()],
    )


def program(text: str, found: Sequence[Token], direction: Direction) -> Any:
    """The compiled form of a valid expression that gives true or false."""
    try:
        compiled = environment(direction).compile(linear(text, found))
    except RuntimeError as error:
        raise BrokenRule(f"{shown(text)}: {complaint(str(error))}", allowed_in(direction)) from error
    refuse_patterns(text, found, direction)
    if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        given = compiled.return_type().name().lower()
        raise BrokenRule(f"{shown(text)}, which gives {given}", "an expression that gives true or false")
    return compiled


def linear(text: str, found: Sequence[Token]) -> str:
    """The expression with the stand-in for each `contains` whose needle is not written in it."""
    for call in calls(found):
        if call.name.text == "contains" and not call.ends_with_literal:
            start = call.name.start
            text = f"{text[:start]}{_LINEAR}{text[start + len(_LINEAR) :]}"
    return text


def refuse_patterns(text: str, found: Sequence[Token], direction: Direction) -> None:
    """A pattern that comes with a message is as large as its sender likes, and a broken one would break every call."""
    for call in calls(found):
        if call.name.text != "matches":
            continue
        if not call.ends_with_literal:
            raise BrokenRule(f"{shown(text)}: a pattern that is no literal", "matches() with its pattern in quotes")
        if not is_pattern(call, direction):
            raise BrokenRule(
                f"{shown(text)}: the pattern {shown(call.arguments[-1].text)}",
                "a regular expression (RE2) without look-around and back-references",
            )


def is_pattern(call: Call, direction: Direction) -> bool:
    trial = environment(direction).compile(f"''.matches({call.arguments[-1].text})")
    return isinstance(trial.eval(environment(direction).Activation({})).value(), bool)


def complaint(said: str) -> str:
    """`column 11: undeclared reference to 'unknown'`, out of what the compiler says."""
    first = next(complaints(said), "")
    return first or said.partition(": ")[2].replace("<input>:-1:-1: ", "")[:200].strip() or "cannot be compiled"


def complaints(said: str) -> Iterator[str]:
    for column, words in _COMPLAINT.findall(said):
        words = words.partition(" (in container")[0].partition(" expecting {")[0].replace(_LINEAR, "contains")
        yield f"column {column}: {words[:200]}" if int(column) > 0 else words[:200]


def allowed_in(direction: Direction) -> str:
    return f"CEL over {', '.join(sorted(VARIABLES[direction]))}"


def work_of(found: Sequence[Token]) -> Work:
    called = [call.name.text for call in calls(found)]
    copies = sum(name in _COPIES for name in called)
    return Work(
        macros=sum(name in _MACROS for name in called),
        nested=nested(found, _MACROS),
        growth=(1 + sum(token.text == "+" for token in found)) ** max(copies, 1),
        literal=1 + sum(token.text == "," for token in found),
        copies=copies > 0,
    )
