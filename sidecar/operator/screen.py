"""Tables and trees for a terminal of 80 columns or more; without colour and without Unicode they say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sidecar.operator.words import plain

WIDTH = 120
"""Wider terminals are not used: long lines are hard to read."""

GOOD, WARN, BAD, DIM = "green", "yellow", "bold red", "dim"

SEVERITIES = {"info": DIM, "warning": WARN, "error": BAD, "internal": BAD}


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and how its cells stand."""

    heading: str
    justify: Literal["left", "right"] = "left"
    wraps: bool = False
    """Whether it takes what room is left; others are as wide as their widest cell."""
    style: str = ""


def number(heading: str) -> Column:
    return Column(heading, "right")


def wide(heading: str) -> Column:
    return Column(heading, wraps=True)


Cell = str | Text


class Screen:
    """Writes to one console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, emoji=False)
        self.console.width = min(self.console.width, WIDTH)
        self.is_unicode = self.console.encoding.startswith("utf")

    def say(self, text: Cell = "", style: str = "") -> None:
        """One line. Markup in it is text."""
        self.console.print(self.text(Text(plain_lines(text), style) if isinstance(text, str) else text), soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        self.console.print(what)

    def facts(self, facts: Iterable[tuple[str, Cell]]) -> None:
        """`label  text`, a line each, or more where the text is long."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style=DIM)
        grid.add_column(overflow="fold")
        for label, text in facts:
            grid.add_row(label, self.text(text))
        self.show(grid)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], empty: str) -> None:
        """What there is, or the sentence that there is nothing."""
        listed = list(rows)
        if not listed:
            self.say(empty, DIM)
            return
        self.show(self.tabled(columns, listed))

    def tabled(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD if self.is_unicode else box.ASCII,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="bold",
        )
        for column in columns:
            table.add_column(
                column.heading,
                justify=column.justify,
                no_wrap=not column.wraps,
                overflow="fold" if column.wraps else "ellipsis" if self.is_unicode else "crop",
                style=column.style or None,
            )
        for row in rows:
            table.add_row(*(self.text(cell) for cell in row))
        return table

    def text(self, cell: Cell) -> Text:
        """Nothing that could steer the terminal, and only what its encoding can show."""
        text = Text(plain_lines(cell)) if isinstance(cell, str) else cell
        if self.is_unicode:
            return text
        parts = text.render(self.console, end="")
        return Text.assemble(*((simple(part.text), part.style or "") for part in parts), overflow=text.overflow)


def plain_lines(text: str) -> str:
    """Our own line breaks stay."""
    return "\n".join(plain(line) for line in text.split("\n"))


SIMPLE = str.maketrans({"→": "->", "…": "~", "·": "-"})


def simple(text: str) -> str:
    return text.translate(SIMPLE).encode("ascii", "replace").decode("ascii")


def coloured(text: str, style: str) -> Text:
    return Text(plain(text), style)


def say_json(message: Message) -> None:
    """One message as protobuf writes JSON: field names as in the proto, numbers of 64 bits as text."""
    click.echo(json.dumps(as_dict(message), indent=2))


def say_json_line(message: Message) -> None:
    click.echo(json.dumps(as_dict(message), separators=(",", ":")))


def as_dict(message: Message) -> dict[str, Any]:
    whole: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return whole


JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="The answer as JSON, for scripts.")
BECAUSE_OPTION = click.option("--because", required=True, help="Why, for whoever reads it later.")
