"""Spec files: from folders on disk to the table in force, and to the next one when a file changes.

Everything loads or nothing does. All mistakes are said at once, each with its file, line and path, and the last good
table stays in force. Read are `.yaml`, `.yml` and `.json` files; in a folder, what has the key `spec` or `match` is a
spec, and what has `$schema` or `$id`, or lies below a folder named `schemas`, is a JSON Schema for specs to refer to.
Names that begin with a dot are passed over. A `$ref` stays within the folders that were named, and nothing is ever
fetched from a network.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import logging
import os
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import unquote, urlsplit

import jsonschema  # type: ignore[import-untyped]  # It ships no types. It says what is wrong in a spec's own format.
from watchfiles import awatch

from sidecar import yaml_source
from sidecar.engine.schema import Keys, Unresolvable, is_deeper, quoted, shown, type_of
from sidecar.engine.spec import BrokenPath, BrokenSpec, Spec, SpecTable, compile_spec, ties
from sidecar.engine.spec import Path as JsonPath
from sidecar.errors import ConfigError, Mistake
from sidecar.yaml_source import Source, refuse

log = logging.getLogger(__name__)

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 1_000
"""Most files that the spec folders may hold together."""
DEBOUNCE_MS = 500
"""Longest that a burst of changes is gathered before one reload."""
POLL_S = 5.0
"""How often the files are compared even where no event came: network file systems and replaced folders send none."""

Outcome = Literal["loaded", "refused"]
OnReload = Callable[[Outcome, str], None]
"""Told of every reload: what became of it, and how many specs or which mistakes."""

FORMAT_PATH = Path(__file__).with_name("spec_format.json")
"""The published JSON Schema of the spec format. Its descriptions are what a mistake names as allowed."""
FORMAT: dict[str, Any] = json.loads(FORMAT_PATH.read_text(encoding="utf-8"))

_formats = jsonschema.FormatChecker(formats=())


@_formats.checks("json-path", raises=BrokenPath)  # type: ignore[untyped-decorator]  # From the untyped package above.
def is_json_path(value: object) -> bool:
    return not isinstance(value, str) or bool(JsonPath(value))


_format = jsonschema.Draft202012Validator(FORMAT, format_checker=_formats)

Seen = dict[Path, bytes | None]
"""What files held when they were read, as a hash; None for one that could not be read."""


def load(paths: Iterable[Path | str]) -> SpecTable:
    """The specs in files and folders. Raises ConfigError with all mistakes."""
    return SpecSource(paths).table


class SpecSource:
    """The specs in force, kept up to date with their files. Raises ConfigError where the first load fails."""

    def __init__(self, paths: Iterable[Path | str], *, on_reload: OnReload | None = None) -> None:
        self._paths = tuple(Path(os.path.abspath(path)) for path in paths)  # noqa: PTH100  # Path.resolve would follow links.
        self._on_reload = on_reload
        loading = _Load(self._paths)
        if loading.mistakes:
            raise ConfigError(loading.mistakes)
        self.table = loading.table
        self._seen = loading.seen

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        return self.table.match(caller, callee, method)

    def describe(self) -> list[str]:
        """A line for each spec, for `check` and `run` to print."""
        return [f"{'spec':<12}{described(spec)}" for spec in self.table.specs]

    def reload(self) -> bool:
        """Put what the files say now in force if all of it loads. Returns whether it did."""
        return self._take(_Load(self._paths))

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload when the content of the files changes, until `stop` is set. A failure to watch is never an end."""
        while not stop.is_set():
            folders = watched(self._paths, self._seen)
            await self._refresh()  # what changed before the folders were watched
            async with aclosing(changes(folders, stop)) as events:
                async for _ in events:
                    await self._refresh()
                    if watched(self._paths, self._seen) != folders:
                        break

    async def _refresh(self) -> None:
        if await asyncio.to_thread(fingerprint, self._paths, self._seen) != self._seen:
            self._take(await asyncio.to_thread(_Load, self._paths))

    def _take(self, loading: _Load) -> bool:
        self._seen = loading.seen
        if loading.mistakes:
            self._tell("refused", str(ConfigError(loading.mistakes)))
            return False
        self.table = loading.table
        self._tell("loaded", f"{len(self.table.specs)} in force")
        return True

    def _tell(self, outcome: Outcome, detail: str) -> None:
        if self._on_reload is not None:
            self._on_reload(outcome, detail)


def described(spec: Spec) -> str:
    """`researcher/v1  * -> researcher /lf.a2a.v1.A2AService/SendMessage, enforce (not served yet: deadline)`."""
    match = spec.match
    edge = f"{match.caller or '*'} -> {match.callee or '*'} {match.method or '*'}"
    inactive = f" (not served yet: {', '.join(spec.inactive)})" if spec.inactive else ""
    return f"{spec.name}  {edge}, {spec.mode or 'mode of the route'}{inactive}"


async def changes(folders: frozenset[Path], stop: asyncio.Event) -> AsyncGenerator[None, None]:
    """Something may have changed: a burst of events in a folder is over, or it is time to look anyway."""
    try:
        async with aclosing(events_in(folders, stop)) as events:
            async for _ in events:
                yield None
    except (OSError, RuntimeError) as error:
        log.warning("spec files are compared every %s s, because they cannot be watched: %s", POLL_S, error)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), POLL_S)
        yield None


def events_in(folders: frozenset[Path], stop: asyncio.Event) -> AsyncGenerator[object, None]:
    """One item for each burst of events, and one where none came in time. OSError where there are no watches left."""
    return awatch(
        *(folder for folder in folders if folder.is_dir()),
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        stop_event=stop,
        rust_timeout=int(POLL_S * 1000),
        yield_on_timeout=True,
        recursive=False,
    )


def watched(paths: Iterable[Path], seen: Iterable[Path]) -> frozenset[Path]:
    """The folders in which a change can matter. Not recursive: a spec file may lie at the top of a large tree."""
    named = [folder for path in paths if path.is_dir() for folder, _, _ in walked(path)]
    return frozenset([*named, *(path.parent for path in [*paths, *seen])])


def walked(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders below `root` and the names in them, in a fixed order, without names that begin with a dot."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(folder), folders, sorted(name for name in files if not name.startswith("."))


def files_in(path: Path) -> list[Path]:
    """The files that a path of the configuration stands for. (A symbolic link to a folder below it is not followed.)"""
    if not path.is_dir():
        return [path]
    found = (folder / name for folder, _, names in walked(path) for name in names if name.endswith(SUFFIXES))
    return list(islice(found, MAX_FILES + 1))


def fingerprint(paths: Iterable[Path], seen: Iterable[Path]) -> Seen:
    """What the files hold now: those that the paths stand for, and those that were read the last time."""
    return {path: hashed(path) for path in {*(file for path in paths for file in files_in(path)), *seen}}


def hashed(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.blake2b(file.read(yaml_source.MAX_BYTES + 1), digest_size=16).digest()
    except OSError:
        return None


class _Load:
    """One attempt to read everything: a table, or mistakes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.mistakes: list[Mistake] = []
        self.seen: Seen = {}
        self.table = SpecTable()
        self._roots = [(path if path.is_dir() else path.parent).resolve() for path in paths]
        self._sources: dict[Path, Source | None] = {}
        self._ids: dict[str, Source] = {}
        self._referred: set[Path] = set()
        files = [file for path in paths for file in self._found(path)]
        self._read_all(dict.fromkeys(files), {path for path in paths if path.is_file()})

    def _found(self, path: Path) -> list[Path]:
        files = files_in(path)
        if len(files) > MAX_FILES:
            self._wrong(shown_path(path), f"more than {MAX_FILES} files", f"at most {MAX_FILES}")
        return files[:MAX_FILES]

    def _read_all(self, files: Iterable[Path], named: Collection[Path]) -> None:
        """`named` are specs by the operator's word; in folders the content says which they are."""
        sources = {file: source for file in files if (source := self._source(file)) is not None}
        specs = {file: source for file, source in sources.items() if file in named or is_spec(source.data)}
        others = {file: source for file, source in sources.items() if file not in specs}
        for source in others.values():
            self._keep_id(source)
        declared = [(spec, specs[file]) for file in specs for spec in self._compiled(file, specs[file])]
        for file, source in others.items():
            if file not in self._referred and not is_schema(file, source.data):
                allowed = "a spec (`spec`, `match`), a schema (`$schema`, `$id`, or below a folder `schemas`)"
                self._wrong(source.where(()), "neither a spec nor a JSON Schema", allowed)
        self._refuse_twins(declared)
        self.table = SpecTable(spec for spec, _ in declared)

    def _source(self, path: Path) -> Source | None:
        """A file's data, read once. What is wrong with it is written down, and there is no data then."""
        if path not in self._sources:
            self.seen[path] = hashed(path)
            self._sources[path] = self._read(path)
        return self._sources[path]

    def _read(self, path: Path) -> Source | None:
        try:
            source = read_source(path)
        except ConfigError as error:
            self.mistakes += error.mistakes
            return None
        self.mistakes += source.mistakes.values()
        return None if source.mistakes else source

    def _keep_id(self, source: Source) -> None:
        """A schema's own address, by which others may refer to it."""
        said = source.data.get("$id") if isinstance(source.data, dict) else None
        if not isinstance(said, str) or not urlsplit(said).scheme:
            return
        first = self._ids.setdefault(said.rstrip("#"), source)
        if first is not source:
            self._wrong(source.where(("$id",)), f"{shown(said)}, which {first.name} has too", "an `$id` of its own")

    def _compiled(self, path: Path, source: Source) -> Iterator[Spec]:
        mistakes = list(format_mistakes(source))
        self.mistakes += mistakes
        if mistakes:
            return
        try:
            yield compile_spec(source.data, source=source.name, base_uri=path.as_uri(), fetch=self._fetch)
        except BrokenSpec as error:
            for flaw in error.flaws:
                self._wrong(source.where(flaw.keys), flaw.found, flaw.allowed)

    def _fetch(self, uri: str) -> Any:
        """The schema document that a reference means: a file below the roots, or one that has this `$id`."""
        if uri in self._ids:
            return self._ids[uri].data
        path = self._path_of(uri)
        self._referred.add(path)
        source = self._source(path)
        if source is None:
            raise Unresolvable(f"a reference to {shown_path(path)}, which cannot be read", "a file that can be read")
        return source.data

    def _path_of(self, uri: str) -> Path:
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc:
            allowed = "files beside the specs, and the `$id` of a schema file there; nothing is fetched"
            raise Unresolvable(f"a reference to {shown(uri)}", allowed)
        path = Path(unquote(parts.path))
        if not self._is_inside(path) or path.suffix not in SUFFIXES:
            raise Unresolvable(f"a reference to {shown_path(path)}", f"{', '.join(SUFFIXES)} files in the spec folders")
        return path

    def _is_inside(self, path: Path) -> bool:
        """Whether the file lies below a root once every symbolic link is followed."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that no file can have
            return False
        return any(real.is_relative_to(root) for root in self._roots)

    def _refuse_twins(self, declared: Sequence[tuple[Spec, Source]]) -> None:
        first: dict[str, Source] = {}
        for spec, source in declared:
            if first.setdefault(spec.name, source) is not source:
                found = f"{shown(spec.name)}, which {first[spec.name].name} has too"
                self._wrong(source.where(("spec",)), found, "a name of its own")
        for one, two in ties(spec for spec, _ in declared):
            source = next(source for spec, source in declared if spec is two)
            found = f"a match as specific as that of {one.name} in {one.source}, and an edge can fit both"
            self._wrong(source.where(("match",)), found, "matches of which one is more specific, or that never meet")

    def _wrong(self, where: str, found: str, allowed: str) -> None:
        self.mistakes.append(Mistake(where, found, allowed))


def is_spec(data: Any) -> bool:
    return isinstance(data, dict) and ("spec" in data or "match" in data)


def is_schema(path: Path, data: Any) -> bool:
    is_marked = isinstance(data, dict) and ("$schema" in data or "$id" in data)
    return is_marked or "schemas" in path.parts[:-1]


def shown_path(path: Path) -> str:
    """Relative to the working folder where it lies below it, as an operator would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def read_source(path: Path) -> Source:
    """A file's data with its lines. Raises ConfigError; smaller mistakes are in the source."""
    name = shown_path(path)
    try:
        text = yaml_source.read_text(path)
    except ConfigError as error:
        renamed = [Mistake(placed(mistake.where, path), mistake.found, mistake.allowed) for mistake in error.mistakes]
        raise ConfigError(renamed) from error
    return read_json(text, name) if path.suffix == ".json" else read_yaml(text, name)


def placed(where: str, path: Path) -> str:
    """The place with the file's whole path instead of its last part."""
    rest = where.removeprefix(str(path)).removeprefix(path.name)
    return f"{shown_path(path)}{rest}"


def read_yaml(text: str, name: str) -> Source:
    """Like a configuration file, except that `$` is only a character here: patterns and paths are full of it."""
    reader = _Verbatim(name, {})
    data = reader.value(yaml_source.compose(text, name), ())
    return Source(name, data, reader.lines, mistakes=reader.mistakes)


class _Verbatim(yaml_source._Reader):
    def _filled(self, text: str, keys: Keys) -> str:  # noqa: ARG002  # The way does not matter where nothing is filled in.
        return text


def read_json(text: str, name: str) -> Source:
    """JSON, each key once, to the same depth and number of values as YAML. Lines are known for syntax errors only."""
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        refuse(f"{name}:{error.lineno}", f"{error.msg} (column {error.colno})", "valid JSON")
    except (RecursionError, ValueError) as error:
        refuse(name, str(error) or type(error).__name__, "valid JSON, each key once")
    if is_deeper(data, yaml_source.MAX_DEPTH):
        refuse(name, "deeper nesting", f"at most {yaml_source.MAX_DEPTH} levels")
    return Source(name, data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {quoted(twice)} twice in one object")
    return mapping


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word}, which is no JSON")


def format_mistakes(source: Source) -> Iterator[Mistake]:
    """What breaks the spec format."""
    if not isinstance(source.data, dict):
        yield Mistake(source.where(()), type_of(source.data), FORMAT["description"])
        return
    for error in sorted(_format.iter_errors(source.data), key=lambda error: str(error.absolute_path)):
        yield from mistakes_of(error, source)


def mistakes_of(error: Any, source: Source) -> Iterator[Mistake]:
    """One complaint of the format's schema in words of ours; what is allowed is in the format's descriptions."""
    keys: Keys = tuple(error.absolute_path)
    known = error.schema.get("properties", {})
    if error.validator == "additionalProperties":
        for name in error.instance.keys() - known.keys():
            yield Mistake(source.where((*keys, name)), f"the unknown key {quoted(name)}", suggested(name, list(known)))
    elif error.validator == "required":
        name = next(name for name in error.validator_value if error.message.startswith(repr(name)))
        yield Mistake(source.where(keys), f"no `{name}`", told(known[name]))
    elif isinstance(error.cause, BrokenPath):
        yield Mistake(source.where(keys), error.cause.found, error.cause.allowed)
    else:
        yield Mistake(source.where(keys), shown(error.instance), error.schema["description"])


def suggested(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{', '.join(known)}{f' (did you mean {near[0]}?)' if near else ''}"


def told(schema: dict[str, Any]) -> str:
    """A description, through the format's own `$defs`."""
    target: str = schema.get("$ref", "").rpartition("/")[2]
    described: str = (FORMAT["$defs"][target] if target else schema)["description"]
    return described
