"""`sidecar agents`, `edges` and `exchanges`: who talks to whom, and what is open now."""

from __future__ import annotations

from collections.abc import Iterable

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line, seconds_of
from sidecar.operator.screen import (
    BAD,
    DIM,
    JSON_OPTION,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    number,
    say_json,
    wide,
)
from sidecar.operator.words import age, ago, count, cut, method, plain, rate, share, took, usd
from sidecar.v1 import admin_pb2 as api

AGENT_OPTION = click.option("--agent", default="", help="Only what this agent has part in, on either side.")


@click.command()
@JSON_OPTION
@on_a_line
def agents(line: Line, as_json: bool) -> None:
    """Agents seen lately: calls, errors, findings, cost."""
    answer = line.listed(line.stub.ListAgents, api.ListAgentsRequest(), "agents")
    if as_json:
        say_json(answer)
        return
    columns = (
        wide("Agent"),
        number("Calls"),
        number("Called"),
        number("Errors"),
        number("Refused"),
        number("Findings"),
        number("Loops"),
        number("Cost"),
        number("Seen"),
    )
    Screen().table(columns, (agent_row(agent) for agent in answer.agents), "No agent was seen yet.")


def agent_row(agent: api.Agent) -> tuple[Cell, ...]:
    calls, called = agent.as_caller, agent.as_callee
    name = Text.assemble(plain(agent.name), (" held back" if agent.is_quarantined else "", BAD))
    return (
        name,
        count(calls.exchanges),
        count(called.exchanges),
        red(called.errors),
        red(calls.refused + called.refused),
        count(calls.findings + called.findings),
        red(calls.loops + called.loops),
        usd(called.cost_micro_usd),
        ago(agent.last_seen_unix_ms),
    )


@click.command()
@AGENT_OPTION
@JSON_OPTION
@on_a_line
def edges(line: Line, agent: str, as_json: bool) -> None:
    """Edges seen lately: who calls whom for what.

    Rates, errors and latencies are those of the last minute; cost, loops and total count from the start of the sidecar.
    """
    answer = line.listed(line.stub.ListEdges, api.ListEdgesRequest(agent=agent), "edges")
    if as_json:
        say_json(answer)
        return
    Screen().table(EDGE_COLUMNS, edge_rows(answer.edges), "No edge was seen yet.")


EDGE_COLUMNS = (
    wide("Edge"),
    number("Per s"),
    number("Errors"),
    number("Refused"),
    number("p95"),
    number("Cost"),
    number("Loops"),
    number("Total"),
)


def edge_rows(found: Iterable[api.EdgeSummary]) -> Iterable[tuple[Cell, ...]]:
    return (edge_row(edge) for edge in found)


def edge_row(summary: api.EdgeSummary) -> tuple[Cell, ...]:
    """Rate, errors and latency of the last minute; cost, loops and total since the start."""
    recent, total = summary.recent, summary.total
    return (
        edge_name(summary),
        rate(recent.rate_per_s),
        red_text(share(recent.errors, recent.exchanges), recent.errors),
        red(recent.refused),
        took(recent.p95_s),
        usd(total.cost_micro_usd),
        red(total.loops),
        count(total.exchanges),
    )


def edge_name(summary: api.EdgeSummary) -> Text:
    edge = summary.edge
    name = Text.assemble(
        (cut(edge.caller, 24), "bold"), " → ", (cut(edge.callee, 24), "bold"), f" {cut(method(edge.method), 32)}"
    )
    if summary.side == "outbound":
        name.append(" (out)", DIM)
    if summary.is_quarantined:
        name.append(" held back", BAD)
    return name


@click.command()
@AGENT_OPTION
@click.option("--older-than", default="", help="Only those open for longer than this: 30s, 5m.")
@JSON_OPTION
@on_a_line
def exchanges(line: Line, agent: str, older_than: str, as_json: bool) -> None:
    """Exchanges that are open now, the oldest first."""
    min_age_s = seconds_of("--older-than", older_than) if older_than else 0.0
    request = api.ListExchangesRequest(agent=agent, min_age_s=min_age_s)
    answer = line.listed(line.stub.ListExchanges, request, "exchanges")
    if as_json:
        say_json(answer)
        return
    columns = (number("Open for"), wide("Edge"), Column("Side"), number("Msgs"), Column("State"), wide("Conversation"))
    Screen().table(columns, (open_row(each) for each in answer.exchanges), "No exchange is open.")


def open_row(exchange: api.OpenExchange) -> tuple[Cell, ...]:
    edge = exchange.edge
    return (
        age(exchange.age_s),
        f"{cut(edge.caller, 24)} → {cut(edge.callee, 24)} {cut(method(edge.method), 32)}",
        "in" if exchange.side == "inbound" else "out",
        f"{exchange.requests}/{exchange.responses}",
        "at callee" if exchange.is_dispatched else coloured("held here", WARN),
        exchange.lineage.conversation,
    )


def red(figure: int) -> Text:
    return red_text(count(figure), figure)


def red_text(text: str, figure: int) -> Text:
    return coloured(text, BAD if figure else "")
