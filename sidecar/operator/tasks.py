"""`sidecar tasks`: what agents are at work on, and what nothing comes of."""

from __future__ import annotations

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import (
    BAD,
    DIM,
    JSON_OPTION,
    Cell,
    Column,
    Screen,
    coloured,
    number,
    say_json,
)
from sidecar.operator.words import age, cut, plain
from sidecar.v1 import admin_pb2 as api

PREFIX = "TASK_STATE_"


@click.command()
@click.option("--callee", default="", help="Only tasks of this agent.")
@click.option("--stuck", is_flag=True, help="Only tasks without progress for longer than `tasks.stuck_after`.")
@JSON_OPTION
@on_a_line
def tasks(line: Line, callee: str, stuck: bool, as_json: bool) -> None:
    """Tasks of the agents called here, the latest first.

    Exit code 1 with --stuck where one is.
    """
    request = api.ListTasksRequest(callee=callee, stuck_only=stuck)
    answer = line.listed(line.stub.ListTasks, request, "tasks")
    if as_json:
        say_json(answer)
    else:
        show(Screen(), answer, stuck)
    if stuck and answer.tasks:
        click.get_current_context().exit(1)


def show(screen: Screen, answer: api.ListTasksResponse, stuck_only: bool) -> None:
    columns = (Column("Task"), Column("Callee"), Column("State"), number("For"), number("Idle"))
    empty = "No task is stuck." if stuck_only else "No task was seen."
    screen.table(columns, (row(task) for task in answer.tasks), empty)
    for census in answer.census:
        states = ", ".join(f"{number} {word(state)}" for state, number in sorted(census.states.items()) if number)
        stuck = f", {census.stuck} stuck" if census.stuck else ""
        screen.say(f"{census.callee}: {states or 'no tasks'}{stuck}", BAD if census.stuck else DIM)


def row(task: api.Task) -> tuple[Cell, ...]:
    marks = (" stuck" * task.is_stuck) + (" held back" * task.is_quarantined)
    name = Text.assemble(plain(task.task), (marks, BAD))
    state = coloured(word(task.state), DIM if task.is_terminal else "")
    return name, cut(task.callee, 20), state, age(task.for_s), age(task.idle_s)


def word(state: str) -> str:
    """`working` of TASK_STATE_WORKING."""
    return state.removeprefix(PREFIX).lower().replace("_", " ")
