"""Text of a YAML file as plain data, with the line of every value, and `${VAR}` filled in.

Stricter than YAML where that protects the reader: the scalars of YAML 1.2's core schema only (`off` and `1:30` are
text), every key once, one document, no tags, and bounds on size, depth and on what aliases unfold to. Variables
are filled in after the structure is known, so a variable's value can never add keys or list items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from sidecar.errors import ConfigError, Mistake

Keys = tuple[str | int, ...]
"""The way to a value: `("routes", 0, "listen")`."""

MAX_BYTES = 1 << 20
"""Largest file read. The largest real configuration is a few KiB."""
MAX_DEPTH = 64
"""Deepest nesting read."""
MAX_VALUES = 50_000
"""Most values that one document may hold once its aliases are unfolded."""
MAX_DIGITS = 18
"""Longest whole number read as one; a longer one stays text."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_WHOLE = re.compile(rf"[-+]?[0-9]{{1,{MAX_DIGITS}}}")
_BASED = re.compile(r"0x[0-9a-fA-F]{1,15}|0o[0-7]{1,20}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)\}|\$\{")
_REFERENCE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

_ODD = re.compile("[\t\ufeff]")
"""Characters that libyaml and PyYAML take for different things: a blank or not, the start of a text or a letter."""

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What PyYAML counts as the end of a line: more than an editor does."""

MERGE_KEY = "<<"


@dataclass(frozen=True, slots=True)
class Source:
    """Data and where each part of it was said."""

    name: str
    """What to call the text in a message: the file's name."""
    data: Any
    lines: Mapping[Keys, int] = field(default_factory=dict)
    """Lines, counted from 1."""
    templates: Mapping[Keys, str] = field(default_factory=dict)
    """What stood in the file where a variable was filled in. Messages show this and never the variable's value."""
    origins: Mapping[Keys, str] = field(default_factory=dict)
    """Values that were not said in the text: the flag or environment variable they come from."""
    mistakes: Mapping[Keys, Mistake] = field(default_factory=dict)
    """What is wrong already; the values at these places mean nothing."""

    def where(self, keys: Keys) -> str:
        """`sidecar.yaml:12 routes[0].listen`, or the flag or variable that said it."""
        for length in range(len(keys), 0, -1):
            if origin := self.origins.get(keys[:length]):
                return origin
        return f"{self.name}{self._line(keys)} {dotted(keys)}".rstrip()

    def line(self, keys: Keys) -> int:
        """The line of the value or of the nearest one around it; 0 where nothing is known."""
        return next((self.lines[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self.lines), 0)

    def _line(self, keys: Keys) -> str:
        line = self.line(keys)
        return f":{line}" if line else ""


def dotted(keys: Keys) -> str:
    """`routes[0].listen`. A key that is not plain is quoted, so that it cannot pretend to be another."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _PLAIN_KEY.fullmatch(key) else f"{key[:60]!r}")
    return text


def read_text(path: Path) -> str:
    """The file as UTF-8, with or without a byte order mark. ConfigError, naming the path as given, where it is not."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        refuse(str(path), error.strerror or type(error).__name__, "a file that can be read")
    if len(raw) > MAX_BYTES:
        refuse(str(path), f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        refuse(f"{path}:{line}", f"the byte 0x{raw[error.start]:02x}, which is not UTF-8", "UTF-8 text")


def read(text: str, *, name: str, environ: Mapping[str, str] | None) -> Source:
    """Parse one document. ConfigError where there is none; smaller mistakes are kept in `Source.mistakes`.

    Without an environment `$` is a character like any other, and nothing is filled in.
    """
    if len(text) > MAX_BYTES:
        refuse(name, f"{len(text)} characters", f"at most {MAX_BYTES}")
    reader = _Reader(name, environ)
    data = reader.value(compose(text, name), ())
    return Source(name, data, reader.lines, reader.templates, mistakes=reader.mistakes)


def compose(text: str, name: str) -> yaml.Node:
    """The document's tree of nodes. libyaml is tried first, and what it refuses is for PyYAML to read or to explain."""
    try:
        node = quickly_composed(text) or _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        refuse(*said_of(error, name), f"valid YAML, one document{hint(error, text)}")
    if node is None:
        refuse(f"{name}:1", "an empty file", "a mapping")
    return node


def quickly_composed(text: str) -> yaml.Node | None:
    """The same tree, ten times as fast; None where libyaml is missing, refuses the text or might read it otherwise."""
    if not yaml.__with_libyaml__ or _ODD.search(text):
        return None
    try:
        node = _QuickLoader(text).get_single_node()
    except (yaml.YAMLError, UnicodeEncodeError):
        return None
    return node if node is not None and node.value else None  # of an empty document the two tell different lines


class _Composer(yaml.composer.Composer):
    """Composes nodes only (no Python object is ever constructed), without tags and to a bounded depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[attr-defined]  # The parser that this is combined with has it.
        if has_tag(event):
            raise yaml.composer.ComposerError(
                None, None, f"the tag {str(event.tag)[:60]}, and tags are not used", event.start_mark
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_DEPTH} levels", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Loader(_Composer, yaml.SafeLoader):
    """PyYAML's own parser. What its complaints say is what an operator reads."""


if yaml.__with_libyaml__:

    class _QuickLoader(_Composer, yaml.CSafeLoader):
        """libyaml's parser under PyYAML's composer, which bounds the depth; libyaml's own composes in native code."""

        def __init__(self, text: str) -> None:
            super().__init__()
            yaml.CSafeLoader.__init__(self, text)


def has_tag(event: yaml.Event) -> bool:
    """libyaml drops the tag `!` and leaves only a plain scalar that was not to be typed by its looks."""
    is_dropped = isinstance(event, yaml.ScalarEvent) and not event.style and not event.implicit[0]
    return is_dropped or getattr(event, "tag", None) is not None


def said_of(error: yaml.YAMLError, name: str) -> tuple[str, str]:
    """Where and what PyYAML complains of, without quoting the file's text."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{name}:{mark.line + 1}", f"a YAML error: {error.problem} (column {mark.column + 1})"
    if isinstance(error, yaml.reader.ReaderError):
        return name, f"a character at position {error.position} that YAML does not allow"
    return name, type(error).__name__


def hint(error: yaml.YAMLError, text: str) -> str:
    """YAML ends a plain value at a brace where it stands inside braces or brackets: the usual slip with variables."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    is_variable = mark is not None and "${" in _LINE_BREAK.split(text)[mark.line]
    return "; inside { } and [ ] a ${VARIABLE} needs quotes" if is_variable else ""


class _Reader:
    """Turns nodes into data and writes down lines, templates and mistakes on the way."""

    def __init__(self, name: str, environ: Mapping[str, str] | None) -> None:
        self._name = name
        self._environ = environ
        self._values = 0
        self.lines: dict[Keys, int] = {}
        self.templates: dict[Keys, str] = {}
        self.mistakes: dict[Keys, Mistake] = {}

    def value(self, node: yaml.Node, keys: Keys) -> Any:
        self._count(node, keys)
        self.lines[keys] = line_of(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, keys)

    def _count(self, node: yaml.Node, keys: Keys) -> None:
        self._values += 1
        if self._values > MAX_VALUES or len(keys) > MAX_DEPTH:
            found = "aliases that unfold without end, or too many values"
            refuse(f"{self._name}:{line_of(node)}", found, f"{MAX_VALUES} values, {MAX_DEPTH} levels")

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        inherited: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, keys)
            if key == MERGE_KEY and is_plain(key_node):
                inherited |= self._merged(value_node, keys)
            elif key is not None:
                self._once(key, line_of(key_node), first_lines, keys)
                own[key] = self.value(value_node, (*keys, key))
                self.lines[*keys, key] = line_of(key_node)
        return inherited | own

    def _key(self, node: yaml.Node, keys: Keys) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._mistake((*keys, "?"), line_of(node), "a key that is a list or a mapping", "keys that are text")
        return None

    def _once(self, key: str, line: int, first_lines: dict[str, int], keys: Keys) -> None:
        if key in first_lines:
            found = f"the key again (first on line {first_lines[key]})"
            self._mistake((*keys, key), line, found, "each key once")
        first_lines.setdefault(key, line)

    def _merged(self, node: yaml.Node, keys: Keys) -> dict[str, Any]:
        """`<<: *defaults` (YAML 1.1's merge key): keys to inherit; with several, the earlier mapping wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for merged in reversed(nodes):
            if isinstance(merged, yaml.MappingNode):
                found |= self.value(merged, keys)
            else:
                self._mistake(
                    (*keys, MERGE_KEY), line_of(merged), "a merge of something else", "a mapping or a list of them"
                )
        return found

    def _scalar(self, node: yaml.Node, keys: Keys) -> Any:
        filled = self._filled(str(node.value), keys)
        return typed(filled) if is_plain(node) else filled

    def _filled(self, text: str, keys: Keys) -> str:
        environ = self._environ
        if environ is None or "$" not in text:
            return text
        filled = _VARIABLE.sub(lambda match: self._variable(match, environ, keys), text)
        if filled != text.replace("$$", "$"):
            self.templates[keys] = text
        return filled

    def _variable(self, match: re.Match[str], environ: Mapping[str, str], keys: Keys) -> str:
        if match[0] == "$$":
            return "$"
        reference = _REFERENCE.fullmatch(match[1] or "")
        if reference is None:
            self._mistake(
                keys, self.lines[keys], f"`{match[0][:60]}`", "${NAME}, ${NAME:-default}, or $$ for a dollar sign"
            )
            return ""
        return self._looked_up(reference[1], reference[2], environ, keys)

    def _looked_up(self, variable: str, default: str | None, environ: Mapping[str, str], keys: Keys) -> str:
        """As in a shell: `:-` also stands in for a variable that is set but empty."""
        value = environ.get(variable)
        if default is not None:
            return value or default
        if value is None:
            self._mistake(
                keys,
                self.lines[keys],
                f"${{{variable}}}, which is not set",
                "a variable that is set, or ${NAME:-default}",
            )
        return value or ""

    def _mistake(self, keys: Keys, line: int, found: str, allowed: str) -> None:
        self.mistakes.setdefault(keys, Mistake(f"{self._name}:{line} {dotted(keys)}".rstrip(), found, allowed))


def typed(text: str) -> Any:
    """What a plain scalar means in YAML 1.2's core schema (YAML 1.2.2, 10.3.2)."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return typed_float(text)


def typed_float(text: str) -> float | str:
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    return float(text) if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdecimal() else text


def is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def refuse(where: str, found: str, allowed: str) -> NoReturn:
    raise ConfigError([Mistake(where, found, allowed)])
