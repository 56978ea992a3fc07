"""Independence, held over the syntax tree: a verifier shares no code with the sidecar or with another verifier."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUBS = "sidecar.v1"
SHARED = {"verifiers.base", "verifiers.cage"}
"""What a verifier may use beside its own folder: the server that it runs in, and the processes that it can stop."""
SOURCES = sorted((ROOT / "verifiers").rglob("*.py"))
SIDECAR_SOURCES = sorted((ROOT / "sidecar").rglob("*.py"))


def imports_of(source: str, package: str) -> set[str]:
    """Full names of the modules that a source of `package` imports, wherever in it they stand."""
    return {name for node in ast.walk(ast.parse(source)) for name in names_in(node, package)}


def names_in(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        is_folder = module in {"verifiers", "sidecar"}
        yield from ((f"{module}.{alias.name}" for alias in node.names) if is_folder else [module])


def is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def forbidden(source: str, path: Path) -> set[str]:
    """What the file imports of ours and may not. A verifier sees of `base` what it exports, never its insides."""
    package = ".".join(path.parent.parts)
    own = {".".join(path.with_suffix("").parts[:2])}
    is_base = own == {"verifiers.base"}
    ours = {name for name in imports_of(source, package) if name.split(".")[0] in {"sidecar", "verifiers"}}
    allowed = {name for name in ours if is_within(name, own) or name in SHARED}
    return ours - allowed - {name for name in ours if is_base and is_within(name, {STUBS})}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_verifier_uses_only_the_base_and_itself(path: Path) -> None:
    """Code that both sides share would be wrong on both sides at once."""
    assert not forbidden(path.read_text(), path.relative_to(ROOT))


def test_the_sidecar_uses_no_verifier() -> None:
    """It knows verifiers by their wire alone, so that those written in other languages are treated alike."""
    users = {
        path.relative_to(ROOT)
        for path in SIDECAR_SOURCES
        for name in imports_of(path.read_text(), ".".join(path.relative_to(ROOT).parent.parts))
        if is_within(name, {"verifiers"})
    }
    assert not users


@pytest.mark.parametrize(
    "source",
    [
        "import sidecar.engine.document",
        "from sidecar.v1 import verifier_pb2",
        "from sidecar import errors",
        "from verifiers.schema import judge",
        "from verifiers import schema",
        "from ..schema import engine",
        "from verifiers.base.bench import Bench",
        "def judge(evidence):\n    import sidecar.units",
    ],
)
def test_a_borrowed_line_is_seen(source: str) -> None:
    """A rule that overlooks one way to import holds nothing."""
    assert forbidden(source, Path("verifiers/rules/engine.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import json, re",
        "from verifiers import base, rules",
        "from verifiers.base import Evidence",
        "from verifiers.cage import Cage",
        "from verifiers.rules.engine import answer",
        "from .engine import answer",
    ],
)
def test_what_a_verifier_needs_is_allowed(source: str) -> None:
    """The rule forbids sharing, not living."""
    assert not forbidden(source, Path("verifiers/rules/judgement.py"))


def test_the_rule_is_about_files_that_exist() -> None:
    """Over an empty list every rule holds."""
    assert {"base", "rules", "schema"} <= {path.parent.name for path in SOURCES}
    assert len(SIDECAR_SOURCES) > 10
