"""What `sidecar check` prints, and `sidecar run` at its start: what we make of the operator's words.

Names and addresses are never cut, so a line keeps to its width only where they let it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sidecar.config.values import redacted
from sidecar.engine.exchange import UNKNOWN_CALLER, Mode
from sidecar.units import format_duration

if TYPE_CHECKING:
    from sidecar.config.checks import Budget, Loops, Verifier
    from sidecar.config.lineage import LineageSettings
    from sidecar.config.pressure import Pressure
    from sidecar.config.reporting import Admin, Tracing
    from sidecar.config.route import Route
    from sidecar.config.tree import Config

LINE_WIDTH = 80
"""Columns of a terminal that nobody made wider."""


def described(config: Config) -> list[str]:
    """All lines, in the order in which an operator asks."""
    return [f"{label:<12}{line}" for title, lines in facts_of(config).items() for label, line in labelled(title, lines)]


def facts_of(config: Config) -> dict[str, list[str]]:
    """Titles and their lines. A fact without lines is left out."""
    return {
        "agent": [config.agent],
        "mode": [config.mode.value],
        "routes": [line for route in config.routes for line in route_lines(route, config)],
        "types": [str(descriptor) for descriptor in config.descriptors] or ["none: payloads pass unread, except JSON"],
        "specs": [str(path) for path in config.specs] or ["none"],
        "lineage": [lineage_line(config.lineage)],
        "verifiers": [verifier_line(verifier) for verifier in config.verifiers],
        "store": [str(config.store)],
        "loops": [loops_line(config.loops)],
        "tasks": [f"stuck after {format_duration(config.tasks.stuck_after_s)} without progress"],
        "pressure": pressure_lines(config.pressure),
        "budgets": [budget_line(budget) for budget in config.budgets],
        "journal": [f"{target}" for target in config.journal.to] if config.journal else [],
        "metrics": [f"http://{config.metrics.listen}/metrics" if config.metrics else "off"],
        "traces": [traces_line(config.tracing)],
        "admin": [admin_line(config.admin)],
    }


def labelled(title: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The title beside its first line."""
    return ((title if index == 0 else "", line) for index, line in enumerate(lines))


def route_lines(route: Route, config: Config) -> list[str]:
    """Where it listens and leads, and who talks to whom in which mode, below each other where one line is too short."""
    width = max(len(each.name) for each in config.routes)
    caller = "any caller" if route.caller == UNKNOWN_CALLER else route.caller
    way = f"{route.name:<{width}}  {route.listen} → {route.upstream}"
    sides = f"({caller} → {route.callee}, {config.mode_of(route)})"
    lines = [f"{way}  {sides}"] if len(way) + len(sides) + 14 <= LINE_WIDTH else [way, f"{'':<{width}}  {sides}"]
    if route.mode is Mode.ENFORCE and config.mode is Mode.OBSERVE:
        lines.append(f"{'':<{width}}  asks to enforce, but the root says observe")
    return lines


def lineage_line(lineage: LineageSettings) -> str:
    if lineage.keys_file is not None:
        return f"signed with the first key in {lineage.keys_file}"
    if not lineage.keys:
        return "no key: entries from other machines are not trusted"
    signs, *others = (key.id for key in lineage.keys)
    return f"signed with {signs}" + (f", {', '.join(others)} verified too" if others else "")


def verifier_line(verifier: Verifier) -> str:
    """`grounding  127.0.0.1:7101, observe, within 500ms, fail open`."""
    mode, within = verifier.mode or "mode of the route", format_duration(verifier.timeout_s)
    return f"{verifier.name}  {verifier.address}, {mode}, within {within}, fail {verifier.fail}"


def loops_line(loops: Loops | None) -> str:
    """`5 repeats, 3 cycles, 16 hops within 10m, mode of the root`."""
    if loops is None:
        return "off"
    limits = f"{loops.repeats} repeats, {loops.cycles} cycles, {loops.hops} hops"
    return f"{limits} within {format_duration(loops.window_s)}, {loops.mode or 'mode of the root'}"


def pressure_lines(pressure: Pressure) -> list[str]:
    """What of it is in force; nothing where none is."""
    limits = len(pressure.limits)
    parts = [
        f"{limits} limit{'s' if limits > 1 else ''}" if limits else "",
        "a retry budget" if pressure.retries else "",
        "breakers" if pressure.breaker else "",
        f"deadlocks of {len(pressure.deadlocks.agents)}" if pressure.deadlocks.agents else "",
    ]
    said = ", ".join(part for part in parts if part)
    return [said] if said else []


def budget_line(budget: Budget) -> str:
    """`per-conversation  2.00 USD a conversation, enforce`."""
    whose = {"global": "for all", "conversation": "a conversation", "agent": "an agent", "edge": "an edge"}[
        budget.scope
    ]
    each = "" if budget.window == "none" else f" each {budget.window}"
    amount = f"{budget.limit_usd:.2f}" if budget.limit_usd * 100 % 1 == 0 else f"{budget.limit_usd.normalize():f}"
    return f"{budget.name}  {amount} USD {whose}{each}, {budget.mode or 'mode of the root'}"


def admin_line(admin: Admin | None) -> str:
    """`127.0.0.1:9465, 2 tokens; without one: read`."""
    if admin is None:
        return "off"
    tokens = f", {len(admin.tokens)} token{'s' if len(admin.tokens) > 1 else ''}" if admin.tokens else ""
    tls = ", client certificates" if admin.tls and admin.tls.client_ca else ", tls" if admin.tls else ""
    is_loopback = admin.listen.is_loopback and not admin.listen.path
    without = f"; without a credential: {admin.without}" if is_loopback else ""
    return f"{admin.listen}{tls}{tokens}{without}"


def traces_line(tracing: Tracing) -> str:
    if tracing.exporter != "otlp":
        return tracing.exporter
    protocol = f" ({tracing.protocol})" if tracing.protocol else ""
    where = redacted(tracing.endpoint) if tracing.endpoint else "the endpoint in OTEL_*, else localhost"
    return f"otlp → {where}{protocol}"
