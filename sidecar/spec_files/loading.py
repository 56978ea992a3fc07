"""Loading: one attempt to read every spec file, and every schema that the specs refer to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from sidecar.engine.specs import BrokenSpec, Spec, SpecTable, Unresolvable, compile_spec, shown, ties
from sidecar.errors import ConfigError, Mistake
from sidecar.spec_files import files
from sidecar.spec_files.files import SUFFIXES, Seen, files_in, hashed, shown_path
from sidecar.spec_files.format import format_mistakes
from sidecar.spec_files.reading import read_source, read_text_of
from sidecar.yaml_source import Source

PUT = ".put.yaml"
"""The file that a spec that was put would be. None is: names that begin with a dot are passed over."""


class Loading:
    """One attempt to read everything: a table, or mistakes."""

    def __init__(
        self,
        paths: Sequence[Path],
        verifiers: Collection[str] | None = None,
        puts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`puts` are texts of specs by their names, which come before those of files."""
        self._puts = puts
        self.bad_puts: set[str] = set()
        """Names of those in `puts` that the mistakes are about."""
        self.mistakes: list[Mistake] = []
        self.seen: Seen = {}
        self.table = SpecTable()
        self.problems: tuple[Mistake, ...] = ()
        """Those of what was left out so that the rest could load. For the source to say."""
        self.from_files: tuple[Spec, ...] = ()
        self._verifiers = verifiers
        self._roots = [(path if path.is_dir() else path.parent).resolve() for path in paths]
        self._sources: dict[Path, Source | None] = {}
        self._ids: dict[str, Source] = {}
        self._referred: set[Path] = set()
        found = dict.fromkeys(file for path in paths for file in self._found(path))
        self._read_all(found, {path for path in paths if path.is_file()})

    def _found(self, path: Path) -> list[Path]:
        found = files_in(path)
        if len(found) > files.MAX_FILES:
            self._wrong(shown_path(path), f"more than {files.MAX_FILES} files", f"at most {files.MAX_FILES}")
        return found[: files.MAX_FILES]

    def _read_all(self, found: Iterable[Path], named: Collection[Path]) -> None:
        """`named` are specs by the operator's word; in folders the content says which they are."""
        sources = {file: source for file in found if (source := self._source(file)) is not None}
        specs = {file: source for file, source in sources.items() if file in named or is_spec(source.data)}
        others = {file: source for file, source in sources.items() if file not in specs}
        for source in others.values():
            self._keep_id(source)
        declared = [(spec, specs[file]) for file in specs for spec in self._compiled(file, specs[file])]
        self.from_files = tuple(spec for spec, _ in declared)
        declared = [(spec, source) for spec, source in declared if spec.name not in self._puts] + list(self._put())
        self._refuse_strangers(others)
        self._refuse_twins(declared)
        self._refuse_ties(declared)
        self._refuse_unknown_verifiers(declared)
        self.table = SpecTable(spec for spec, _ in declared)

    def _put(self) -> Iterator[tuple[Spec, Source]]:
        """Specs that were put. Their references lead where those of a file at the top of the first folder would."""
        for name, text in self._puts.items():
            known = len(self.mistakes)
            source = self._read_put(name, text)
            found = (
                list(self._compiled(self._roots[0] / PUT if self._roots else Path("/") / PUT, source)) if source else []
            )
            if source and found and found[0].name != name:
                self._wrong(source.where(("spec",)), shown(found[0].name), f"{name}, the name that it was put under")
            if len(self.mistakes) > known:
                self.bad_puts.add(name)
            else:
                yield from ((spec, source) for spec in found if source)

    def _read_put(self, name: str, text: str) -> Source | None:
        try:
            source = read_text_of(text, put_source(name))
        except ConfigError as error:
            self.mistakes += error.mistakes
            return None
        self.mistakes += source.mistakes.values()
        return None if source.mistakes else source

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

    def _refuse_strangers(self, others: Mapping[Path, Source]) -> None:
        """A file of another kind in a spec folder is more likely a spec with a slip than meant to lie there."""
        for file, source in others.items():
            if file not in self._referred and not is_schema(file, source.data):
                allowed = "a spec (`spec`, `match`), a schema (`$schema`, `$id`, or below a folder `schemas`)"
                self._wrong(source.where(()), "neither a spec nor a JSON Schema", allowed)

    def _refuse_twins(self, declared: Iterable[tuple[Spec, Source]]) -> None:
        """Findings name specs, so no two may share a name."""
        first: dict[str, Source] = {}
        for spec, source in declared:
            if first.setdefault(spec.name, source) is not source:
                found = f"{shown(spec.name)}, which {first[spec.name].name} has too"
                self._wrong(source.where(("spec",)), found, "a name of its own")

    def _refuse_ties(self, declared: Sequence[tuple[Spec, Source]]) -> None:
        """Else the order of files would decide which spec is in force."""
        for one, two in ties(spec for spec, _ in declared):
            if one.name in self._puts:
                one, two = two, one  # what was put last has to give way
            self.bad_puts |= {two.name} & self._puts.keys()
            source = next(source for spec, source in declared if spec is two)
            found = f"a match as specific as that of {one.name} in {one.source}, and an edge can fit both"
            self._wrong(source.where(("match",)), found, "matches of which one is more specific, or that never meet")

    def _refuse_unknown_verifiers(self, declared: Iterable[tuple[Spec, Source]]) -> None:
        """Nobody could be asked, so every call would go unjudged, or be refused, for a slip of the pen."""
        if self._verifiers is None:
            return
        allowed = f"the verifiers configured: {', '.join(sorted(self._verifiers)) or 'none yet'}"
        for spec, source in declared:
            for index, name in enumerate(spec.panel.require if spec.panel else ()):
                if name not in self._verifiers:
                    self.bad_puts |= {spec.name} & self._puts.keys()
                    self._wrong(source.where(("verifiers", "require", index)), shown(name), allowed)

    def _wrong(self, where: str, found: str, allowed: str) -> None:
        self.mistakes.append(Mistake(where, found, allowed))


def put_source(name: str) -> str:
    """What stands in the place of a file's name where a spec was put."""
    return f"put:{name}"


def is_spec(data: Any) -> bool:
    return isinstance(data, dict) and ("spec" in data or "match" in data)


def is_schema(path: Path, data: Any) -> bool:
    is_marked = isinstance(data, dict) and ("$schema" in data or "$id" in data)
    return is_marked or "schemas" in path.parts[:-1]
