"""The stage: a folder of its own, free ports, and the sidecars' configurations written from their templates."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

AGENTS: Final = ("researcher", "writer", "planner", "teller")
PEERS: Final = MappingProxyType({"planner": ("researcher", "writer"), "researcher": (), "writer": (), "teller": ()})
"""Whom each agent calls."""

VERIFIERS: Final = ("grounding", "rules", "arithmetic")
"""Who judges what the writer answers."""

LOOPBACK: Final = "127.0.0.1"
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is."""

    root: Path
    """The source checkout: agents, specs, templates."""
    folder: Path
    """Configurations, logs and the lineage key of this performance."""
    addresses: MappingProxyType[str, str]
    """`host:port` of each agent (`planner`), sidecar (`planner_sidecar`), way out (`planner_to_writer`), and
    metrics page (`planner_metrics`), and of each verifier (`grounding`)."""

    def agent(self, name: str) -> str:
        return self.addresses[name]

    def sidecar(self, name: str) -> str:
        """Where others reach the agent: its sidecar's inbound route."""
        return self.addresses[f"{name}_sidecar"]

    def way_out(self, caller: str, callee: str) -> str:
        """Where an agent reaches a peer: its own sidecar's outbound route."""
        return self.addresses[f"{caller}_to_{callee}"]

    def metrics(self, name: str) -> str:
        return self.addresses[f"{name}_metrics"]

    def verifier(self, name: str) -> str:
        return self.addresses[name]

    def config(self, name: str) -> Path:
        return self.folder / f"{name}.yaml"

    def admin(self, name: str) -> Path:
        """The socket of the sidecar's admin service."""
        return self.folder / f"{name}.admin"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sidecar-demo-"))


def set_up(root: Path, folder: Path, sink: str) -> Stage:
    """Pick ports and write one configuration a sidecar. `sink` is the span receiver's `host:port`."""
    names = list(names_of_addresses())
    stage = Stage(root, folder, MappingProxyType(dict(zip(names, free_addresses(len(names)), strict=True))))
    write_key(folder / "lineage.key")
    for agent in AGENTS:
        stage.config(agent).write_text(filled_template(stage, agent, sink), encoding="utf-8")
    return stage


def names_of_addresses() -> Sequence[str]:
    fixed = [name for agent in AGENTS for name in (agent, f"{agent}_sidecar", f"{agent}_metrics")]
    return [*VERIFIERS, *fixed] + [f"{caller}_to_{callee}" for caller, callees in PEERS.items() for callee in callees]


def free_addresses(count: int) -> list[str]:
    """Ports that nobody holds now. All are held at once while picking, so that no two are the same."""
    with ExitStack() as held:
        return [free_address(held.enter_context(socket.socket())) for _ in range(count)]


def free_address(candidate: socket.socket) -> str:
    candidate.bind((LOOPBACK, 0))
    return f"{LOOPBACK}:{candidate.getsockname()[1]}"


def filled_template(stage: Stage, agent: str, sink: str) -> str:
    """A mistake in a template is a KeyError here, not a surprise in a sidecar."""
    template = stage.root / "examples" / "demo" / "sidecars" / f"{agent}.yaml"
    places = {
        "descriptors": str(stage.root / "specs" / "a2a" / "a2a_v1.binpb"),
        "specs": str(stage.root / "examples" / "demo" / "specs"),
        "key": str(stage.folder / "lineage.key"),
        "admin": str(stage.admin(agent)),
        "sink": sink,
    }
    return Template(template.read_text(encoding="utf-8")).substitute(stage.addresses, **places)


def write_key(path: Path) -> None:
    """One secret for all three sidecars, readable by us alone: they sign what they tell each other with it."""
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
