"""What the run showed, as one table, and whether that was all that it had to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from dashboards.check import Result
from tests.e2e.faults.fault import Fault
from tests.e2e.life import Life
from tests.e2e.phases import Seen

WIDTH = 150

HEAD = ("alert", "injected fault", "pending", "firing s", "delivered s", "resolved s", "in healthy run", "verdict")

PAGE = """# What the live proof saw

Written by `make e2e ARGS="--write docs/alert-proof.md"` ([what that does](alerts.md#seen-live)). Seconds are counted
from the fault's first moment, those of *resolved* from when it was put right, until the receiver was told. Where an
alert was held back by another one, "+" counts from when the fault was put right as well. Every time in a rule was
divided by {factor:g}. The healthy run took {healthy_s:.0f} s, the fault run {faulty_s:.0f} s.

"""


def table(seen: Seen, in_healthy: Seen) -> Table:
    shown = Table(*HEAD)
    for cells in rows(seen, in_healthy):
        shown.add_row(*cells)
    return shown


def page(seen: Seen, in_healthy: Seen, factor: float) -> str:
    """The table as Markdown."""
    head = PAGE.format(factor=factor, healthy_s=in_healthy.took_s, faulty_s=seen.took_s)
    lines = [HEAD, ["---"] * len(HEAD), *rows(seen, in_healthy)]
    return head + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def rows(seen: Seen, in_healthy: Seen) -> list[list[str]]:
    in_order = sorted(seen.lives, key=lambda pair: pair[1].alert)
    return [list(row(fault, life, in_healthy)) for fault, life in in_order]


def row(fault: Fault, life: Life, in_healthy: Seen) -> Iterator[str]:
    which = " ".join(life.labels[name] for name in ("long", "short", "seen_as") if name in life.labels)
    yield f"{life.alert} {which}".strip()
    yield fault.words
    yield "yes" if life.was_pending else "no"
    yield seconds(life.firing_s)
    yield f"held back, +{seconds(life.delivered_s)}" if life.was_held_back else seconds(life.delivered_s)
    yield seconds(life.resolved_s)
    yield "FIRED" if any(stray.startswith(f"{life.alert} ") for stray in in_healthy.strays) else "no"
    yield "; ".join(life.troubles) or "ok"


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def mistakes(seen: Seen, in_healthy: Seen, unregistered: Sequence[str], results: Sequence[Result]) -> list[str]:
    """Every reason for which the run is no proof; empty where it is one."""
    found = list(unregistered)
    found += [f"in the healthy run: {stray}" for stray in in_healthy.strays]
    found += [f"in the healthy run, an ordinary call: {failure}" for failure in in_healthy.served.failures]
    if not in_healthy.served.count:
        found.append("in the healthy run nobody called")
    found += [f"in the fault run, asked for by nobody: {stray}" for stray in seen.strays]
    found += [f"{life}: {trouble}" for _, life in seen.lives for trouble in life.troubles]
    empty = [each for each in results if not each.has_data]
    found += [f"no data on board {each.board}, {each.panel}: {each.error or each.query}" for each in empty]
    if in_healthy.took_s < seen.took_s:
        lengths = f"the healthy run took {in_healthy.took_s:.0f} s and the fault run {seen.took_s:.0f} s"
        found.append(f"{lengths}: --healthy has to be longer")
    return found


def tell(seen: Seen, in_healthy: Seen, found: Sequence[str]) -> None:
    console = Console(width=WIDTH, highlight=False)
    console.print(table(seen, in_healthy))
    console.print(
        f"healthy run {in_healthy.took_s:.0f} s with {in_healthy.served.count} calls, fault run {seen.took_s:.0f} s"
    )
    for passing in in_healthy.passing:
        console.print(f"pending for a moment in the healthy run: {passing}", markup=False)
    for mistake in found:
        console.print(mistake, style="bold red", markup=False)
