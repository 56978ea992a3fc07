"""Dependencies point one way: cli → app → line_up → {panel, stores, telemetry, checks, prices} → engine.

Proxy and admin stand beside the line-up: `app` brings them together, and none imports another.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sidecar"
MIDDLE = {"admin", "proxy", "panel", "stores", "telemetry", "checks", "prices"}
FOUNDATION = {"engine", "errors", "v1", "__init__"}
ALLOWED = {
    "errors": set(),
    "units": {"errors"},
    "yaml_source": {"errors"},
    "engine": {"errors", "v1"},
    "bearer": set(),
    "tls": set(),
    **dict.fromkeys(MIDDLE, FOUNDATION),
    "admin": FOUNDATION | {"bearer", "tls"},
    "panel": FOUNDATION | {"tls"},
    "proxy": FOUNDATION | {"tls"},
    "telemetry": FOUNDATION | {"bearer"},
    "config": {"engine", "errors", "units", "yaml_source", "__init__"},
    "spec_files": {"engine", "errors", "yaml_source"},
    "line_up": FOUNDATION | (MIDDLE - {"admin", "proxy"}) | {"config", "tls", "wiring"},
    "renewal": {"errors"},
    "operator": {"config", "units", "v1"},
    "health": set(),
    "verifier_check": {"v1"},
}
"""What each room may import besides itself. Rooms not named here (cli, commands, app and what it is wired from, replay,
spec_tools, demo, testing) stand at the top."""

TRANSPORT_FREE = {"engine", "checks"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return (
        plain
        | {f"{node.module}" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
        | {
            f"{node.module}.{alias.name}"
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == "sidecar"
            for alias in node.names
        }
    )


def rooms_in(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("sidecar.")} - {"__version__"}


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) in ALLOWED)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path):
    """A room that reaches up or sideways can no longer be read, or tested, alone."""
    room = room_of(path)
    assert rooms_in(imports_of(path)) <= ALLOWED[room] | {room}


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(path) in TRANSPORT_FREE], ids=str)
def test_engine_and_checks_know_no_transport(path: Path):
    """They are given a clock, a store and messages; a test is a script, and another shell is possible."""
    assert not {name for name in imports_of(path) if name.split(".")[0] in {"grpc", "socket", "time"}}


def test_the_arrows_are_about_real_rooms():
    """A rule about a room that is gone would pass for ever."""
    assert {room_of(path) for path in SOURCES} == set(ALLOWED)
