"""`sidecar modes`: what only watches and what may refuse, and changing that while it runs."""

from __future__ import annotations

from typing import cast

import click

from sidecar.operator.line import Line, on_a_line, refuse
from sidecar.operator.screen import (
    BECAUSE_OPTION,
    DIM,
    JSON_OPTION,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    say_json,
    wide,
)
from sidecar.operator.status import level_name, mode_name, mode_text
from sidecar.operator.telling import reach_words, tell
from sidecar.operator.words import ago, plain
from sidecar.v1 import admin_pb2 as api

LEVELS = ("root", "route", "spec", "check", "verifier")
LEVEL = click.argument("level", type=click.Choice(LEVELS))
NAME = click.argument("name", required=False, default="")


@click.group(invoke_without_command=True)
@JSON_OPTION
@on_a_line
def modes(line: Line, as_json: bool) -> None:
    """The mode of every level; the weakest that has a say wins. Without a command: list them."""
    answer = line.listed(line.stub.ListModes, api.ListModesRequest(), "modes")
    if as_json:
        say_json(answer)
        return
    columns = (Column("Level"), wide("Name"), Column("Effective"), Column("Configured"), wide("Changed"))
    Screen().table(columns, (row(level) for level in answer.modes), "There are no levels.")


def row(level: api.ModeLevel) -> tuple[Cell, ...]:
    effective = mode_name(level.effective)
    return (
        level_name(level.level),
        level.name,
        mode_text("" if effective == "inherits" else effective),
        coloured(mode_name(level.configured), DIM),
        changed(level),
    )


def changed(level: api.ModeLevel) -> Cell:
    if not level.changed:
        return "-"
    by = f"{mode_name(level.changed)} by {plain(level.author.who)} {ago(level.author.at_unix_ms)}"
    return coloured(f"{by}: {plain(level.author.because)}", WARN)


@modes.command(name="set")
@LEVEL
@NAME
@click.argument("mode", type=click.Choice(["observe", "enforce"]))
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def set_(line: Line, level: str, name: str, mode: str, because: str, as_json: bool) -> None:
    """Put MODE in the place of what is configured for LEVEL NAME (root has no name), from the next exchange on."""
    request = api.SetModeRequest(level=level_of(level, name), name=name, because=because)
    request.mode = api.MODE_ENFORCE if mode == "enforce" else api.MODE_OBSERVE
    answer = line.call(line.stub.SetMode, request)
    if as_json:
        say_json(answer)
        return
    widens = "; more may be refused than the configuration says" if answer.mode.widens else ""
    Screen().say(f"{level} {name}: {mode} {reach_words(answer.change)}{widens}", WARN if widens else "")


@modes.command()
@LEVEL
@NAME
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def clear(line: Line, level: str, name: str, because: str, as_json: bool) -> None:
    """Take a changed mode back: what is configured holds again."""
    request = api.ClearModeRequest(level=level_of(level, name), name=name, because=because)
    change = line.call(line.stub.ClearMode, request)
    tell(change, f"{level} {name}: as configured", as_json=as_json)


def level_of(level: str, name: str) -> api.Level:
    if (level == "root") is bool(name):
        refuse("root has no name" if name else f"say the name of the {level}")
    return cast("api.Level", api.Level.Value(f"LEVEL_{level.upper()}"))
