"""The demo: four real agents, a sidecar process beside each, three verifiers, and a play in thirteen scenes that
shows what this gives.

- *stage*: addresses, folders and configurations, made afresh for each performance.
- *fleet*: the processes on it.
- *user*: the person outside who asks, over plain A2A.
- *scene*: something is done, facts are observed, *claims* are checked against them.
- *show*: what a person at a terminal sees of it.

Nothing that is shown is computed here: what the caller saw comes off its own connection, what a sidecar saw comes from
its /metrics and from the spans it sent.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from sidecar.errors import EX_USAGE

ROOT = Path(__file__).resolve().parents[2]
"""The source checkout. The agents are examples, so they are there and in no installed package."""


def run(keep: bool = False) -> int:
    """Play all scenes. 0: every claim was observed. 1: one was not. 64: something to play with is missing.

    `keep` leaves everything running afterwards, until Ctrl-C.
    """
    if missing := what_is_missing():
        sys.stderr.write(f"{missing}\n")
        return EX_USAGE
    # Its modules import a2a-sdk, which is an extra, so they wait until it is known to be there.
    from sidecar.demo.play import play

    return play(ROOT, keep)


def what_is_missing(root: Path = ROOT) -> str:
    """One sentence on what has to be installed or fetched first; empty where all is there."""
    if importlib.util.find_spec("grpc_health") is None:
        return "The demo's verifiers need packages that are not installed: pip install 'agent-sidecar[demo,verifiers]'"
    if importlib.util.find_spec("a2a") is None:
        return "The demo's agents are built with a2a-sdk, which is not installed: pip install 'agent-sidecar[demo]'"
    for needed in ("examples/agents", "examples/demo", "specs/a2a/a2a_v1.binpb"):
        if not (root / needed).exists():
            return f"The demo runs from a source checkout, and {root / needed} is not there."
    return ""
