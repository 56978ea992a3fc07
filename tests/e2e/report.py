"""What the run showed, as one table, and whether that was all that it had to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.e2e.faults.fault import Fault
from tests.e2e.life import Life
from tests.e2e.phases import Seen

WIDTH = 150


def table(faults: Sequence[Fault], seen: Seen, in_healthy: Seen) -> Table:
    shown = Table("alert", "injected fault", "pending", "firing s", "delivered s", "resolved s", "in healthy run", "verdict")
    for fault in faults:
        for life in seen.lives.get(fault.alert, [Life(fault.alert, {}, troubles=["was not tried"])]):
            shown.add_row(*row(fault, life, in_healthy))
    return shown


def row(fault: Fault, life: Life, in_healthy: Seen) -> Iterator[str]:
    window = " ".join(life.labels[name] for name in ("long", "short") if name in life.labels)
    yield f"{life.alert} {window}".strip()
    yield fault.words
    yield "yes" if life.was_pending else "no"
    yield seconds(life.firing_s)
    yield seconds(life.delivered_s)
    yield seconds(life.resolved_s)
    yield "FIRED" if any(stray.startswith(f"{life.alert} ") for stray in in_healthy.strays) else "no"
    yield "; ".join(life.troubles) or "ok"


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def mistakes(faults: Sequence[Fault], seen: Seen, in_healthy: Seen, unregistered: Sequence[str]) -> list[str]:
    """Every reason for which the run is no proof; empty where it is one."""
    found = [f"{name} has no fault that shows it" for name in unregistered]
    found += [f"in the healthy run: {stray}" for stray in in_healthy.strays]
    found += [f"in the fault run, asked for by nobody: {stray}" for stray in seen.strays]
    lives = {fault.alert: seen.lives.get(fault.alert, []) for fault in faults}
    found += [f"{name} was not tried" for name, tried in lives.items() if not tried]
    found += [f"{life}: {trouble}" for tried in lives.values() for life in tried for trouble in life.troubles]
    if in_healthy.took_s < seen.took_s:
        found.append(
            f"the healthy run took {in_healthy.took_s:.0f} s and the fault run {seen.took_s:.0f} s: give --healthy at least that"
        )
    return found


def tell(faults: Sequence[Fault], seen: Seen, in_healthy: Seen, found: Sequence[str]) -> None:
    console = Console(width=WIDTH, highlight=False)
    console.print(table(faults, seen, in_healthy))
    console.print(f"healthy run {in_healthy.took_s:.0f} s, fault run {seen.took_s:.0f} s")
    for passing in in_healthy.passing:
        console.print(f"pending for a moment in the healthy run: {passing}", markup=False)
    for mistake in found:
        console.print(mistake, style="bold red", markup=False)
