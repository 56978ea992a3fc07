"""What a person at a terminal sees: what is going on, a table of the scenes, the trace as a tree, and where to look.

Laid out for 80 columns; without colour and without Unicode it says the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from sidecar.demo.claims import Scene
from sidecar.demo.otlp_sink import ReceivedSpan
from sidecar.demo.stage import AGENTS, Stage

WIDTH = 100
"""Wider terminals are not used: long lines are hard to read."""


COLUMNS = (("Scene", 8), ("Done", None), ("The caller saw", 24), ("The sidecar saw", None), ("", 2))
"""Headings and widths; the two without share what is left. The longest reason has 23 letters, and a semicolon."""


class Show:
    """Writes to one console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._console.width = min(self._console.width, WIDTH)
        self._is_unicode = self._console.encoding.startswith("utf")

    def say(self, text: str, style: str = "") -> None:
        """One line, wrapped at words. A path may be longer than the line and must stay in one piece to be copied."""
        self._console.print(escape(self._plain(text)), style=style or None, soft_wrap=True)

    def ready(self, name: str, address: str) -> None:
        self.say(f"  {name:<22} {address}", "dim")

    def scene(self, number: int, count: int, scene: Scene, took_s: float) -> None:
        said = "ok" if scene.is_ok else "NOT AS CLAIMED"
        self.say(f"  {number}/{count} {scene.title:<18} {said}  {took_s:.1f} s", "" if scene.is_ok else "bold red")

    def table(self, scenes: Sequence[Scene]) -> None:
        table = Table(
            box=box.SIMPLE_HEAD if self._is_unicode else box.ASCII,
            expand=True,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            leading=1,
        )
        for heading, width in COLUMNS:
            table.add_column(heading, width=width, ratio=None if width else 1, overflow="fold")
        for scene in scenes:
            cells = (scene.title, scene.done, scene.caller_saw, scene.sidecar_saw)
            verdict = "[green]ok[/]" if scene.is_ok else "[bold red]NO[/]"
            table.add_row(*(escape(self._plain(cell)) for cell in cells), verdict)
        self._console.print()
        self._console.print(table)
        self._console.print()

    def trace(self, spans: Sequence[ReceivedSpan]) -> None:
        """The spans of one trace, each under its parent. The agents sent none of this: it is the sidecars' own."""
        by_parent: dict[str, list[ReceivedSpan]] = {}
        known = {span.span_id for span in spans}
        for span in spans:
            by_parent.setdefault(span.parent_span_id if span.parent_span_id in known else "", []).append(span)
        for root in by_parent.get("", []):
            self.say(f"Trace {root.trace_id}", "bold")
            self._console.print(self._branch(root, by_parent))
            self._console.print()

    def failures(self, scenes: Sequence[Scene]) -> None:
        for scene in scenes:
            for claim in (claim for claim in scene.claims if not claim.is_true):
                self.say(f"{scene.title}: {claim.sentence}", "bold red")
                self.say(f"  expected {claim.expected}\n  observed {claim.observed}")

    def verdict(self, scenes: Sequence[Scene]) -> None:
        claims = [claim for scene in scenes for claim in scene.claims]
        true = sum(claim.is_true for claim in claims)
        self.say(f"{true} of {len(claims)} claims were observed.", "bold" if true == len(claims) else "bold red")

    def whereabouts(self, stage: Stage, keep: bool) -> None:
        """Where to look; with everything still running, what to type as well."""
        self._whereabout("Configurations, logs", str(stage.folder))
        self._whereabout("Boards for Grafana", str(stage.root / "dashboards"))
        if not keep:
            self._whereabout("To poke at it", "sidecar demo --keep (or make demo ARGS=--keep)")
            return
        for agent in AGENTS:
            self._whereabout(f"Metrics of {agent}", f"curl -s http://{stage.metrics(agent)}/metrics | grep ^sidecar_")
        self._whereabout("Watch the planner", f"{sidecar_command()} top --address unix:{stage.admin('planner')}")
        self._whereabout("", "tail, conversations, status ... take the same --address")
        self._whereabout(
            "Ask something", f'{interpreter()} -m examples.agents.ask --to {stage.sidecar("planner")} "bridges"'
        )
        self._whereabout("Break a promise", 'the same with "movable type"')
        self.say("Everything runs until Ctrl-C.", "bold")

    def _whereabout(self, label: str, text: str) -> None:
        self.say(f"{label + ':' if label else '':<24} {text}")

    def _branch(
        self, span: ReceivedSpan, by_parent: Mapping[str, Sequence[ReceivedSpan]], tree: Tree | None = None
    ) -> Tree:
        label = escape(self._plain(described(span)))
        branch = Tree(label) if tree is None else tree.add(label)
        for child in by_parent.get(span.span_id, []):
            self._branch(child, by_parent, branch)
        return branch

    def _plain(self, text: str) -> str:
        return text if self._is_unicode else text.replace("→", "->")


def described(span: ReceivedSpan) -> str:
    where = "into" if span.kind == "SERVER" else "out of"
    return f"{span.edge.replace('→', ' → ')}  {span.duration_ms:.1f} ms  {where} {span.agent}'s sidecar, {span.joined}"


def sidecar_command() -> str:
    """Ours, as it would be typed here."""
    return str(Path(interpreter()).with_name("sidecar"))


def interpreter() -> str:
    """Ours, as it would be typed here: the agents' packages are installed for it, and maybe for no other."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
