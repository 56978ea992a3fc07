"""`sidecar verifiers`: who judges here, and how that has gone."""

from __future__ import annotations

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import (
    BAD,
    JSON_OPTION,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    number,
    say_json,
)
from sidecar.operator.status import mode_text
from sidecar.operator.words import ago, count, plain, took
from sidecar.v1 import admin_pb2 as api


@click.command()
@JSON_OPTION
@on_a_line
def verifiers(line: Line, as_json: bool) -> None:
    """Verifiers and their scorecards."""
    answer = line.listed(line.stub.ListVerifiers, api.ListVerifiersRequest(), "verifiers")
    if as_json:
        say_json(answer)
        return
    screen = Screen()
    counts = [number(heading) for heading in ("Asked", "Pass", "Fail", "Doubt", "Dissent", "Mean", "Seen")]
    columns = [Column("Verifier"), Column("Mode"), *counts]
    screen.table(columns, (row(verifier) for verifier in answer.verifiers), "No verifier is configured.")
    for verifier in answer.verifiers:
        failures = ", ".join(f"{each} {why}" for why, each in sorted(verifier.scorecard.failures.items()) if each)
        if failures:
            screen.say(f"{verifier.name} gave no answer of its own: {failures}", WARN)


def row(verifier: api.VerifierStatus) -> tuple[Cell, ...]:
    card = verifier.scorecard
    name = Text.assemble(plain(verifier.name), (" skipped: it keeps failing" if verifier.is_skipped else "", BAD))
    return (
        name,
        mode_text(verifier.mode),
        count(card.asked),
        count(card.passed),
        coloured(count(card.failed), BAD if card.failed else ""),
        coloured(count(card.inconclusive), WARN if card.inconclusive else ""),
        coloured(count(card.dissents), WARN if card.dissents else ""),
        took(card.mean_s),
        ago(card.last_asked_unix_ms),
    )
