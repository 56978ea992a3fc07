"""`sidecar specs`: the contracts in force, and putting another while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from sidecar.operator.line import FILE, Line, on_a_line
from sidecar.operator.screen import (
    BAD,
    BECAUSE_OPTION,
    GOOD,
    JSON_OPTION,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    say_json,
    wide,
)
from sidecar.operator.status import mode_text
from sidecar.operator.telling import reach_words, tell
from sidecar.operator.words import plain
from sidecar.v1 import admin_pb2 as api
from sidecar.v1.common_pb2 import Edge


@click.group(invoke_without_command=True)
@JSON_OPTION
@on_a_line
def specs(line: Line, as_json: bool) -> None:
    """Specs in force on a running sidecar. Without a command: list them. (`sidecar spec` works on files.)"""
    answer = line.listed(line.stub.ListSpecs, api.ListSpecsRequest(), "specs")
    if as_json:
        say_json(answer)
        return
    screen = Screen()
    columns = (wide("Spec"), wide("Edge"), Column("Mode"), wide("From"))
    screen.table(columns, (row(spec) for spec in answer.specs), "No spec is in force.")
    if answer.problems:
        screen.say("What was tried last is not in force:", BAD)
        say_mistakes(screen, answer.problems)


def row(spec: api.Spec) -> tuple[Cell, ...]:
    source = plain(spec.source)
    if spec.HasField("put"):
        source = f"put by {plain(spec.put.who)}" + (", replaces a file" if spec.replaces_file else "")
    return spec.name, edge_of(spec), mode_text(spec.mode), coloured(source, WARN if spec.HasField("put") else "")


def edge_of(spec: api.Spec) -> str:
    return f"{spec.caller or '*'} → {spec.callee or '*'} {spec.method or '*'}"


@specs.command()
@click.argument("name")
@JSON_OPTION
@on_a_line
def show(line: Line, name: str, as_json: bool) -> None:
    """One spec: its promises, and its text as it was read."""
    spec = line.call(line.stub.GetSpec, api.GetSpecRequest(name=name))
    if as_json:
        say_json(spec)
        return
    screen = Screen()
    say_spec(screen, spec)
    screen.say()
    for text in spec.text.splitlines():
        screen.say(text)


@specs.command()
@click.argument("caller")
@click.argument("callee")
@click.argument("method")
@JSON_OPTION
@on_a_line
def match(line: Line, caller: str, callee: str, method: str, as_json: bool) -> None:
    """Which spec is in force on an edge. METHOD is the full name: /package.Service/Method. Exit code 1 for none."""
    edge = Edge(caller=caller, callee=callee, method=method)
    answer = line.call(line.stub.MatchSpec, api.MatchSpecRequest(edge=edge))
    found = answer.HasField("spec")
    if as_json:
        say_json(answer)
    elif found:
        say_spec(Screen(), answer.spec)
    else:
        Screen().say("No spec is in force on this edge.", WARN)
    click.get_current_context().exit(0 if found else 1)


@specs.command()
@click.argument("path", metavar="FILE", type=FILE)
@JSON_OPTION
@on_a_line
def validate(line: Line, path: Path, as_json: bool) -> None:
    """Whether the spec in FILE could be put, and every mistake if not. Exit code 1 where it could not."""
    answer = line.call(line.stub.ValidateSpec, api.ValidateSpecRequest(text=read(path)))
    if as_json:
        say_json(answer)
    elif answer.mistakes:
        say_mistakes(Screen(), answer.mistakes)
    else:
        Screen().say(f"{answer.name} could be put", GOOD)
    click.get_current_context().exit(1 if answer.mistakes else 0)


@specs.command()
@click.argument("path", metavar="FILE", type=FILE)
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def put(line: Line, path: Path, because: str, as_json: bool) -> None:
    """Put the spec in FILE in force, whole or not at all. One of the same name is replaced until it is deleted."""
    answer = line.call(line.stub.PutSpec, api.PutSpecRequest(text=read(path), because=because))
    if as_json:
        say_json(answer)
        return
    screen = Screen()
    screen.say(f"{answer.spec.name} is in force {reach_words(answer.change)}", GOOD)
    say_spec(screen, answer.spec)


@specs.command()
@click.argument("name")
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def delete(line: Line, name: str, because: str, as_json: bool) -> None:
    """Take back a spec that was put. One from a file is removed by removing the file."""
    change = line.call(line.stub.DeleteSpec, api.DeleteSpecRequest(name=name, because=because))
    tell(change, f"{name} is taken back", as_json=as_json)


def say_spec(screen: Screen, spec: api.Spec) -> None:
    screen.facts(
        [
            ("spec", Text(plain(spec.name), "bold")),
            ("edge", edge_of(spec)),
            ("mode", mode_text(spec.mode)),
            ("from", plain(spec.source)),
            *(("promises" if index == 0 else "", promise) for index, promise in enumerate(spec.promises)),
        ]
    )


def say_mistakes(screen: Screen, mistakes: Any) -> None:
    for mistake in mistakes:
        screen.say(f"  {mistake.where}\n    found    {mistake.found}\n    allowed  {mistake.allowed}")


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: found {error}; allowed: a spec in UTF-8") from error
