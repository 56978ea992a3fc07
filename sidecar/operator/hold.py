"""`sidecar quarantine` and `sidecar release`: hold an agent, an edge, a conversation or a task back, and let it go."""

from __future__ import annotations

from collections.abc import Callable

import click

from sidecar.operator.line import Line, on_a_line, seconds_of
from sidecar.operator.screen import BECAUSE_OPTION, JSON_OPTION, Cell, Column, Screen, number, say_json, wide
from sidecar.operator.telling import reach_words, tell
from sidecar.operator.words import ago, ahead, plain
from sidecar.v1 import admin_pb2 as api
from sidecar.v1.common_pb2 import Edge


@click.group(invoke_without_command=True)
@JSON_OPTION
@on_a_line
def quarantine(line: Line, as_json: bool) -> None:
    """Hold something back, on every sidecar of the fleet. Without a command: list what is held back."""
    answer = line.listed(line.stub.ListQuarantines, api.ListQuarantinesRequest(), "quarantines")
    if as_json:
        say_json(answer)
        return
    columns = (Column("Kind"), wide("What"), Column("By"), number("Since"), number("Ends"), wide("Because"))
    Screen().table(columns, (row(each) for each in answer.quarantines), "Nothing is held back.")


def row(held: api.Quarantined) -> tuple[Cell, ...]:
    ends = ahead(held.until_unix_ms) if held.until_unix_ms else "released"
    by = plain(held.author.who)
    return (
        held.target.WhichOneof("what") or "",
        words(held.target),
        by,
        ago(held.author.at_unix_ms),
        ends,
        held.author.because,
    )


def words(target: api.Target) -> str:
    match target.WhichOneof("what"):
        case "agent":
            return plain(target.agent)
        case "edge":
            return plain(f"{target.edge.caller} → {target.edge.callee} {target.edge.method}")
        case "conversation":
            return plain(target.conversation)
        case "task":
            return plain(f"{target.task.task} of {target.task.callee}")
    return ""


@click.group()
def release() -> None:
    """Let go what is held back."""


def hold(line: Line, target: api.Target, *, because: str, lasts: str, spare_open: bool, as_json: bool) -> None:
    request = api.QuarantineRequest(
        target=target, because=because, for_s=seconds_of("--for", lasts) if lasts else 0.0, spare_open=spare_open
    )
    answer = line.call(line.stub.Quarantine, request)
    if as_json:
        say_json(answer)
        return
    until = f" for {lasts}" if lasts else ", until it is released,"
    Screen().say(f"{words(target)} is held back{until} {reach_words(answer.change)}")


def let_go(line: Line, target: api.Target, *, because: str, as_json: bool) -> None:
    change = line.call(line.stub.Release, api.ReleaseRequest(target=target, because=because))
    tell(change, f"{words(target)} is let go", as_json=as_json)


def targets(kind: str, names: tuple[str, ...], target: Callable[..., api.Target], what: str) -> None:
    """The same noun in both groups, so that what was typed to hold back lets go with one word changed."""

    def holding(line: Line, because: str, lasts: str, spare_open: bool, as_json: bool, **named: str) -> None:
        hold(line, target(**named), because=because, lasts=lasts, spare_open=spare_open, as_json=as_json)

    def letting(line: Line, because: str, as_json: bool, **named: str) -> None:
        let_go(line, target(**named), because=because, as_json=as_json)

    held: Callable[..., None] = on_a_line(holding)
    freed: Callable[..., None] = on_a_line(letting)
    for name in reversed(names):
        held, freed = click.argument(name)(held), click.argument(name)(freed)
    for option in (
        JSON_OPTION,
        click.option("--spare-open", is_flag=True, help="Leave exchanges alone that are open already."),
        click.option("--for", "lasts", default="", help="Ends by itself after this long: 10m, 2h. Else when released."),
        BECAUSE_OPTION,
    ):
        held = option(held)
    for option in (JSON_OPTION, BECAUSE_OPTION):
        freed = option(freed)
    quarantine.command(name=kind, help=f"Hold back {what}.")(held)
    release.command(name=kind, help=f"Let go {what}.")(freed)


targets("agent", ("name",), lambda name: api.Target(agent=name), "every exchange in which an agent has part")
targets(
    "edge",
    ("caller", "callee", "method"),
    lambda caller, callee, method: api.Target(edge=Edge(caller=caller, callee=callee, method=method)),
    "the calls of one method from one agent to another",
)
targets(
    "conversation",
    ("conversation",),
    lambda conversation: api.Target(conversation=conversation),
    "every exchange of a conversation",
)
targets(
    "task",
    ("callee", "task"),
    lambda callee, task: api.Target(task=api.TaskTarget(callee=callee, task=task)),
    "every exchange about one task of an agent",
)
