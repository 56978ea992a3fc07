"""The page on security names a test for each of its claims; here, that these tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_claim_names_a_test_that_exists():
    page = (ROOT / "docs/security.md").read_text()
    claims = [line for line in page.partition("## Each claim")[2].splitlines() if line.startswith("| ")][1:]
    assert len(claims) > 10
    for claim in claims:
        named = NAMED.findall(claim)
        assert named, claim
        for file, name in named:
            assert name in functions(ROOT / file), f"{file}::{name}"
