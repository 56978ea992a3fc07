"""Recorded exchanges: JSON files in, messages with the file and line of each out.

A file holds JSON values one after the other: one a line (JSON Lines), one over many lines, or a list of them. A value
is an exchange, or, where the edge and the direction are said beside the file, one bare document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sidecar.engine.exchange import UNKNOWN_CALLER
from sidecar.engine.message import JSON, Direction
from sidecar.engine.specs import quoted, type_of
from sidecar.errors import ConfigError, Mistake

MAX_BYTES = 256 << 20
"""Largest file read. It is held in memory whole, so that every mistake can name its line."""

EDGE_KEYS = ("caller", "callee", "method")
MESSAGE_KEYS = ("request", "requests", "response", "responses")
SHAPE = (
    "an object with `callee`, `method`, maybe `caller`, and `request` or a list of `requests`, "
    "`response` or a list of `responses`, or both"
)

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Edge:
    """Who calls whom, and what."""

    callee: str
    method: str
    """Full name with its slash."""
    caller: str = UNKNOWN_CALLER

    def __str__(self) -> str:
        return f"{self.caller} -> {self.callee} {self.method}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One exchange that was written down, or as much of it as was."""

    where: str
    """File and line: `calls.jsonl:3`."""
    edge: Edge
    requests: tuple[JSON, ...] = ()
    responses: tuple[JSON, ...] = ()

    def messages(self, direction: Direction) -> tuple[JSON, ...]:
        return self.requests if direction is Direction.REQUEST else self.responses


@dataclass(frozen=True, slots=True)
class Bare:
    """What is said beside a file of bare documents."""

    edge: Edge
    direction: Direction


def read_recorded(paths: Iterable[Path], bare: Bare | None = None) -> list[Recorded]:
    """Every exchange of the files, in order. Raises ConfigError with all mistakes; after broken JSON a file ends."""
    mistakes: list[Mistake] = []
    found: list[Recorded] = []
    for path in paths:
        try:
            for where, value in values_in(path):
                found += taken(where, value, bare, mistakes)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return found


def taken(where: str, value: JSON, bare: Bare | None, mistakes: list[Mistake]) -> Iterator[Recorded]:
    if bare is not None:
        messages = (value,)
        is_request = bare.direction is Direction.REQUEST
        yield Recorded(where, bare.edge, messages if is_request else (), () if is_request else messages)
        return
    wrong = list(wrongs(where, value))
    mistakes += wrong
    if not wrong:
        edge = Edge(**{key: value[key] for key in EDGE_KEYS if key in value})
        yield Recorded(where, edge, messages_of(value, "request"), messages_of(value, "response"))


def messages_of(value: dict[str, Any], key: str) -> tuple[JSON, ...]:
    return (value[key],) if key in value else tuple(value.get(f"{key}s", ()))


def wrongs(where: str, value: JSON) -> Iterator[Mistake]:
    """What keeps a value from being an exchange. A misspelled key must not turn a message into nothing to check."""
    if not isinstance(value, dict):
        yield Mistake(where, type_of(value), SHAPE)
        return
    for key in value.keys() - {*EDGE_KEYS, *MESSAGE_KEYS}:
        yield Mistake(where, f"the unknown key {quoted(key)}", f"{', '.join((*EDGE_KEYS, *MESSAGE_KEYS))}")
    for key in EDGE_KEYS:
        if not isinstance(value.get(key, "" if key == "caller" else None), str):
            yield Mistake(where, f"no `{key}` that is a text", SHAPE)
    for key in ("request", "response"):
        if key in value and f"{key}s" in value:
            yield Mistake(where, f"both `{key}` and `{key}s`", "one of the two")
        if not isinstance(value.get(f"{key}s", []), list):
            yield Mistake(where, f"`{key}s` as {type_of(value[f'{key}s'])}", "a list of messages")
    if not value.keys() & set(MESSAGE_KEYS):
        yield Mistake(where, "no message", SHAPE)


def values_in(path: Path) -> Iterator[tuple[str, JSON]]:
    """The JSON values of a file with the place of each; the members of a list at the top count by themselves."""
    text = text_of(path)
    lines = Lines(str(path), text)
    at = skipped(text, 0)
    while at < len(text):
        if text[at] == "[":
            at = yield from members_in(lines, at)
        else:
            value, end = decoded(lines, at)
            yield lines.where(at), value
            at = end
        at = skipped(text, at)


def members_in(lines: Lines, at: int) -> Generator[tuple[str, JSON], None, int]:
    """The members of the list that begins at `at`; returns where the list ends."""
    text = lines.text
    at = skipped(text, at + 1)
    is_first = True
    while text[at : at + 1] != "]":
        if not is_first:
            if text[at : at + 1] != ",":
                refuse(lines.where(at), "a list that does not go on", "`,` or `]`")
            at = skipped(text, at + 1)
        value, end = decoded(lines, at)
        yield lines.where(at), value
        at, is_first = skipped(text, end), False
    return at + 1


class Lines:
    """A text and the line of each place in it. Asked in rising order, so that the text is counted once."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._at, self._line = 0, 1

    def where(self, at: int) -> str:
        if at < self._at:
            self._at, self._line = 0, 1
        self._line += self.text.count("\n", self._at, at)
        self._at = at
        return f"{self.name}:{self._line}"


def decoded(lines: Lines, at: int) -> tuple[JSON, int]:
    try:
        value, end = _DECODER.raw_decode(lines.text, at)
        if _SURROGATE.search(lines.text, at, end):
            json.dumps(value, ensure_ascii=False).encode()
        return value, end
    except UnicodeEncodeError:
        refuse(lines.where(at), "half a surrogate pair, which no UTF-8 text can hold", "valid JSON in UTF-8")
    except json.JSONDecodeError as error:
        refuse(f"{lines.name}:{error.lineno}", f"{error.msg} (column {error.colno})", "valid JSON")
    except (RecursionError, ValueError) as error:
        refuse(lines.where(at), str(error) or type(error).__name__, "valid JSON, each key once")


def text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        refuse(str(path), error.strerror or type(error).__name__, "a file that can be read")
    if len(raw) > MAX_BYTES:
        refuse(str(path), f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES} bytes; split the file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        refuse(f"{path}:{line}", f"the byte 0x{raw[error.start]:02x}, which is not UTF-8", "UTF-8 text")


def skipped(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def refuse(where: str, found: str, allowed: str) -> NoReturn:
    raise ConfigError([Mistake(where, found, allowed)])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {quoted(next(name for name in names if names.count(name) > 1))} twice in one object")
    return mapping


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word}, which is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
