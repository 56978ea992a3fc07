"""`sidecar conversation`: who called whom because of what, what it cost, what was found."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text
from rich.tree import Tree

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import (
    BAD,
    DIM,
    GOOD,
    JSON_OPTION,
    SEVERITIES,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    number,
    say_json,
    wide,
)
from sidecar.operator.traffic import AGENT_OPTION, red
from sidecar.operator.words import age, ago, count, cut, method, moment, plain, took, usd
from sidecar.v1 import admin_pb2 as api


@click.command()
@AGENT_OPTION
@click.option("--findings", is_flag=True, help="Only those in which something was found.")
@JSON_OPTION
@on_a_line
def conversations(line: Line, agent: str, findings: bool, as_json: bool) -> None:
    """Conversations seen lately, the latest first."""
    request = api.ListConversationsRequest(agent=agent, with_findings=findings)
    answer = line.listed(line.stub.ListConversations, request, "conversations")
    if as_json:
        say_json(answer)
        return
    counts = [number(heading) for heading in ("Calls", "Refused", "Findings", "Cost", "Seen")]
    columns = [Column("Conversation"), wide("Agents"), *counts]
    Screen().table(columns, (summary_row(each) for each in answer.conversations), "No conversation was seen yet.")


def summary_row(summary: api.ConversationSummary) -> tuple[Cell, ...]:
    total = summary.total
    name = Text.assemble(plain(summary.conversation), (" held back" if summary.is_quarantined else "", BAD))
    return (
        name,
        ", ".join(cut(agent, 20) for agent in summary.agents),
        count(total.exchanges),
        red(total.refused),
        count(total.findings),
        usd(total.cost_micro_usd),
        ago(summary.last_seen_unix_ms),
    )


@click.command()
@click.argument("conversation_id", metavar="ID")
@JSON_OPTION
@on_a_line
def conversation(line: Line, conversation_id: str, as_json: bool) -> None:
    """One conversation as a tree of calls.

    Who called whom because of what, how it ended, what it cost, what was found.

    ID is the conversation's, as lists, logs, spans and refusals name it.
    """
    found = line.call(line.stub.GetConversation, api.GetConversationRequest(conversation=conversation_id))
    if as_json:
        say_json(found)
        return
    show(Screen(), found)


def show(screen: Screen, found: api.Conversation) -> None:
    summary, total = found.summary, found.summary.total
    lasted_s = (summary.last_seen_unix_ms - summary.first_seen_unix_ms) / 1000
    screen.facts(
        [
            ("conversation", Text(plain(summary.conversation), "bold")),
            ("began", f"{moment(summary.first_seen_unix_ms)} with {summary.began_with}, {age(lasted_s)} so far"),
            ("calls", calls_words(total)),
            ("cost", usd(total.cost_micro_usd) if total.cost_micro_usd else "nothing was reported"),
            *((f"budget {account.budget}", budget_words(account)) for account in found.budgets),
            *(
                ("loop", coloured(f"{loop.kind}, broken off: sidecar loops resume {loop.id}", BAD))
                for loop in found.loops
            ),
            *([("held back", coloured("yes", BAD))] if summary.is_quarantined else []),
        ]
    )
    screen.say()
    if found.missing:
        screen.say(f"{found.missing} earlier exchanges made room and are not shown.", WARN)
    for tree in trees(screen, found.timeline):
        screen.show(tree)


def calls_words(total: api.Traffic) -> Text:
    words = Text(f"{count(total.exchanges)} ended, {total.open} open")
    for figure, name in ((total.errors, "errors"), (total.refused, "refused"), (total.loops, "past a loop's limit")):
        if figure:
            words.append(f", {figure} {name}", BAD)
    if total.replayed:
        words.append(f", {total.replayed} answered from the record")
    return words


def budget_words(account: api.Account) -> str:
    held = f", {usd(account.held_micro_usd)} held" if account.held_micro_usd else ""
    return f"{usd(account.spent_micro_usd)} of {usd(account.limit_micro_usd)} spent{held}"


def trees(screen: Screen, timeline: Sequence[api.TimelineEntry]) -> list[Tree]:
    """One for each exchange whose cause is not among the entries, with all that it caused below it."""
    by_span = {entry.span_id: entry for entry in timeline if entry.span_id}
    below: dict[str, list[api.TimelineEntry]] = {}
    roots = []
    for entry in timeline:
        parent = entry.parent_span_id
        if parent in by_span and parent != entry.span_id:
            below.setdefault(parent, []).append(entry)
        else:
            roots.append(entry)
    return [grown(screen, root, below) for root in roots]


def grown(screen: Screen, root: api.TimelineEntry, below: dict[str, list[api.TimelineEntry]]) -> Tree:
    """Without recursion: a runaway conversation may be hundreds of calls deep. Each entry grows once."""
    tree = Tree(label(screen, root), guide_style=DIM)
    waiting = [(root, tree)]
    while waiting:
        entry, branch = waiting.pop()
        waiting.extend((child, branch.add(label(screen, child))) for child in below.pop(entry.span_id, []))
    return tree


def label(screen: Screen, entry: api.TimelineEntry) -> Text:
    edge = entry.edge
    text = Text.assemble(
        (cut(edge.caller, 24), "bold"),
        " → ",
        (cut(edge.callee, 24), "bold"),
        f" {cut(method(edge.method), 32)}  ",
        ending(entry),
        f"  {took(entry.duration_s) if not entry.is_open else age_open(entry)}",
    )
    if entry.cost_micro_usd:
        text.append(f"  {usd(entry.cost_micro_usd)}")
    text.append(f"  {'in' if entry.side == 'inbound' else 'out'}, {plain(entry.joined_by)}", DIM)
    for finding in entry.findings:
        text.append(f"\n{plain(finding.check)}/{plain(finding.rule)}: ", SEVERITIES.get(finding.severity, ""))
        text.append(plain(finding.message))
    if entry.findings_missing:
        text.append(f"\nand {entry.findings_missing} more findings", DIM)
    return screen.text(text)


def ending(entry: api.TimelineEntry) -> tuple[str, str]:
    if entry.is_open:
        return "open", WARN
    if entry.decision == "reject":
        return f"refused {plain(entry.reason)}", BAD
    if entry.decision == "replay":
        return f"{plain(entry.code)} from the record", DIM
    return plain(entry.code), GOOD if entry.code == "OK" else BAD


def age_open(entry: api.TimelineEntry) -> str:
    return f"since {ago(entry.started_unix_ms)}".removesuffix(" ago").replace("since", "for")
