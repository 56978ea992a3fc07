"""`sidecar top`: every edge, live, the busiest first."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sidecar.operator.line import Line, NotReached, on_a_line, seconds_of
from sidecar.operator.screen import BAD, DIM, GOOD, WARN, Screen, plain_lines
from sidecar.operator.traffic import EDGE_COLUMNS, edge_rows
from sidecar.operator.words import age, count, plain, rate, usd
from sidecar.v1 import admin_pb2 as api

ROWS_MAX = 500
"""Edges that are asked for; the sidecar gives no more at once."""

ORDERS: dict[str, Callable[[api.EdgeSummary], float]] = {
    "rate": lambda edge: edge.recent.rate_per_s,
    "errors": lambda edge: edge.recent.errors / max(edge.recent.exchanges, 1),
    "p95": lambda edge: edge.recent.p95_s,
    "cost": lambda edge: edge.total.cost_micro_usd,
    "loops": lambda edge: edge.total.loops,
}
KEYS = {name[0]: name for name in ORDERS}

FRAME_LINES = 6
"""Lines of the screen that are not edges: the head, the headings and the foot."""


@click.command()
@click.option("--sort", type=click.Choice(list(ORDERS)), default="rate", show_default=True, help="What comes first.")
@click.option("--interval", default="1s", show_default=True, help="Time between two looks, 200ms to 1h.")
@click.option("--agent", default="", help="Only edges of this agent, on either side.")
@click.option("--once", is_flag=True, help="Print one look and end; so does output that is no terminal.")
@on_a_line
def top(line: Line, sort: str, interval: str, agent: str, once: bool) -> None:
    """Every edge, live.

    Rate, errors and latency of the last minute, cost and loops since the start.

    Keys: r, e, p, c, l sort by rate, errors, p95, cost, loops; q or Ctrl-C ends.
    """
    interval_s = max(seconds_of("--interval", interval), 0.2)
    screen = Screen()
    if once or not screen.console.is_terminal:
        screen.show(looked(screen, line, sort, agent, None))
        return
    with keys() as pressed, Live(console=screen.console, screen=True, auto_refresh=False) as live:
        try:
            watch(live, screen, line, sort, agent, interval_s, pressed)
        except KeyboardInterrupt:
            return


def watch(
    live: Live, screen: Screen, line: Line, sort: str, agent: str, interval_s: float, pressed: Callable[[float], str]
) -> None:
    """Until `q`. A sidecar that does not answer is said and asked again: it may be restarting."""
    while True:
        try:
            shown = looked(screen, line, sort, agent, screen.console.height - FRAME_LINES)
        except NotReached as error:
            shown = Text(plain_lines(error.message), BAD)
        live.update(shown, refresh=True)
        until_s = time.monotonic() + interval_s
        while (left_s := until_s - time.monotonic()) > 0:
            key = pressed(left_s)
            if key == "q":
                return
            if key in KEYS:
                sort = KEYS[key]
                break


def looked(screen: Screen, line: Line, sort: str, agent: str, rows: int | None) -> RenderableType:
    status = line.call(line.stub.GetStatus, api.GetStatusRequest())
    answer = line.call(line.stub.ListEdges, api.ListEdgesRequest(agent=agent, page_size=ROWS_MAX))
    edges = sorted(answer.edges, key=ORDERS[sort], reverse=True)
    return page(screen, status, edges, sort, rows)


def page(
    screen: Screen, status: api.Status, edges: Sequence[api.EdgeSummary], sort: str, rows: int | None
) -> RenderableType:
    shown = edges if rows is None else edges[: max(rows, 1)]
    hidden = len(edges) - len(shown)
    more = f"{hidden} more edges; " if hidden else ""
    foot = (
        Text(f"{more}by {sort} · r e p c l: sort · q: quit", DIM)
        if rows is not None
        else Text(f"by {sort}, the last minute; cost, loops and total since the start", DIM)
    )
    body: RenderableType = Text("No edge was seen yet.", DIM)
    if shown:
        body = screen.tabled(EDGE_COLUMNS, edge_rows(shown))
    return Group(screen.text(head(status, edges)), Text(), body, screen.text(foot))


def head(status: api.Status, edges: Sequence[api.EdgeSummary]) -> Text:
    """One side is summed, as an exchange that passes out and in again is one."""
    inbound = [edge for edge in edges if edge.side == "inbound"] or list(edges)
    text = Text.assemble(
        (plain(status.agent), "bold"),
        f"  {status.mode}  up {age(status.uptime_s)}  ",
        f"{rate(sum(edge.recent.rate_per_s for edge in inbound))}/s  {count(status.open_exchanges)} open  ",
        f"{usd(sum(edge.total.cost_micro_usd for edge in inbound))} spent  ",
    )
    if held := sum(status.quarantined.values()):
        text.append(f"{held} held back  ", WARN)
    text.append(
        "store away" if status.store.is_away else f"store {plain(status.store.kind)}",
        BAD if status.store.is_away else GOOD,
    )
    if status.problems:
        text.append(f"\n! {plain(status.problems[0])}", BAD)
    return text


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Waits for one key, at most so many seconds; the terminal is as before afterwards."""
    if not sys.stdin.isatty():
        yield lambda limit_s: time.sleep(limit_s) or ""  # type: ignore[func-returns-value]
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(limit_s: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], limit_s)
        return os.read(descriptor, 1).decode("ascii", "ignore") if ready else ""

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
