"""Files: which ones the paths of a configuration stand for, and what they hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from sidecar.yaml_source import MAX_BYTES

SUFFIXES = (".yaml", ".yml", ".json")

MAX_FILES = 1_000
"""Most files that the spec folders may hold together."""

Seen = dict[Path, bytes | None]
"""What files held when they were read, as a hash; None for one that could not be read."""


def files_in(path: Path) -> list[Path]:
    """The files that a path of the configuration stands for. (A symbolic link to a folder below it is not followed.)"""
    if not path.is_dir():
        return [path]
    found = (folder / name for folder, _, names in walked(path) for name in names if name.endswith(SUFFIXES))
    return list(islice(found, MAX_FILES + 1))


def walked(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders below `root` and the names in them, in a fixed order, without names that begin with a dot."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(folder), folders, sorted(name for name in files if not name.startswith("."))


def fingerprint(paths: Iterable[Path], seen: Iterable[Path]) -> Seen:
    """What the files hold now: those that the paths stand for, and those that were read the last time."""
    return {path: hashed(path) for path in {*(file for path in paths for file in files_in(path)), *seen}}


def hashed(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.blake2b(file.read(MAX_BYTES + 1), digest_size=16).digest()
    except OSError:
        return None


def shown_path(path: Path) -> str:
    """Relative to the working folder where it lies below it, as an operator would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
