"""`sidecar tail`: what happens, as it happens."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import BAD, DIM, GOOD, JSON_OPTION, SEVERITIES, WARN, Screen, say_json_line
from sidecar.operator.words import clock, count, cut, method, plain, took, usd
from sidecar.v1 import admin_pb2 as api

PREFIX = "EVENT_KIND_"
KINDS: dict[str, Any] = {
    name.removeprefix(PREFIX).lower().replace("_", "-"): number for name, number in api.EventKind.items() if number
}


@click.command()
@click.option("--agent", default="", help="Only events of this agent, on either side.")
@click.option("--conversation", default="", help="Only events of this conversation.")
@click.option("--method", "method_name", default="", help="Only events of this method: /package.Service/Method.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Only these; may be repeated. Default: all but message.",
)
@click.option("--severity", default="", help="Only findings this grave or graver: info, warning, error, internal.")
@click.option(
    "--buffer", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Events that may wait for us."
)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many events.")
@JSON_OPTION
@on_a_line
def tail(
    line: Line,
    agent: str,
    conversation: str,
    method_name: str,
    kinds: tuple[str, ...],
    severity: str,
    buffer: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """What happens, as it happens, until Ctrl-C. Payloads are never shown.

    With --json one event a line. What comes faster than it is read the sidecar drops, and it says how many.
    """
    request = api.TailRequest(
        kinds=[KINDS[kind] for kind in kinds],
        agent=agent,
        conversation=conversation,
        method=method_name,
        min_severity=severity,
        buffer=buffer,
    )
    screen, seen, dropped = Screen(), 0, 0
    try:
        for event in line.stream(line.stub.Tail, request):
            if event.dropped > dropped and not as_json:
                lost = count(event.dropped - dropped)
                screen.say(f"{'':<14}{lost} events were dropped: they came faster than they were read", WARN)
            dropped = event.dropped
            if event.WhichOneof("what") == "alive":
                continue
            seen += 1
            if as_json:
                say_json_line(event)
            else:
                screen.say(words(event))
            if limit is not None and seen >= limit:
                return
    except KeyboardInterrupt:
        return


def words(event: api.TailEvent) -> Text:
    """`14:03:07.123  planner → writer SendMessage  ended OK in 12 ms`."""
    line = Text(f"{clock(event.at_unix_ms)}  ", DIM)
    if event.HasField("subject"):
        edge = event.subject.edge
        line.append(f"{cut(edge.caller, 24)} → {cut(edge.callee, 24)}", "bold")
        line.append(f" {cut(method(edge.method), 32)}  ")
    line.append_text(what_of(event))
    if event.HasField("subject") and event.WhichOneof("what") in ("exchange_started", "change"):
        line.append(f"  conversation {cut(event.subject.lineage.conversation, 40)}", DIM)
    return line


def what_of(event: api.TailEvent) -> Text:
    match event.WhichOneof("what"):
        case "exchange_started":
            spec = f", {plain(event.exchange_started.spec)}" if event.exchange_started.spec else ""
            return Text(f"begins, {plain(event.exchange_started.joined_by)}{spec}", DIM)
        case "message":
            message = event.message
            return Text(f"{plain(message.direction)} {message.sequence}, {count(message.size_bytes)} bytes", DIM)
        case "finding":
            return finding_of(event.finding)
        case "exchange_ended":
            return ended_of(event.exchange_ended)
        case "change":
            return change_of(event.change)
        case "verdict":
            verdict = event.verdict
            style = {"pass": GOOD, "fail": BAD}.get(verdict.verdict, WARN)
            why = f" ({plain(verdict.failure)})" if verdict.failure else ""
            return Text.assemble(
                f"{plain(verdict.verifier)} says ",
                (plain(verdict.verdict) + why, style),
                f" in {took(verdict.duration_s)}",
            )
        case "charge":
            charge = event.charge
            return Text(f"{usd(charge.cost_micro_usd)} {plain(charge.source)}, {plain(charge.model) or 'no model'}")
    return Text("something newer than this command", DIM)


def finding_of(finding: api.CheckFinding) -> Text:
    text = Text(f"{plain(finding.check)}/{plain(finding.rule)} ", SEVERITIES.get(finding.severity, ""))
    text.append(plain(finding.message))
    if finding.action == "rejected":
        text.append(" refused", BAD)
    return text


def ended_of(ended: api.ExchangeEnded) -> Text:
    if ended.decision == "reject":
        result = (f"refused {plain(ended.reason)}", BAD)
    elif ended.decision == "replay":
        result = (f"{plain(ended.code)} from the record", WARN)
    else:
        result = (plain(ended.code), GOOD if ended.code == "OK" else BAD)
    return Text.assemble(
        "ends ",
        result,
        f" in {took(ended.duration_s)}",
        (f", {took(ended.overhead_s)} ours" if ended.overhead_s else "", DIM),
    )


def change_of(change: api.AdminChange) -> Text:
    style = "bold" if change.outcome == "done" else BAD
    outcome = "" if change.outcome == "done" else f" {plain(change.outcome)}"
    return Text.assemble(
        (f"{plain(change.method)}{outcome}", style),
        f" by {plain(change.who)}: {plain(change.what)}, {plain(change.because)}",
    )
