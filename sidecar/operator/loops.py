"""`sidecar loops`: what is broken off, and letting it go on."""

from __future__ import annotations

import click

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import BECAUSE_OPTION, JSON_OPTION, Cell, Column, Screen, number, say_json, wide
from sidecar.operator.telling import tell
from sidecar.operator.words import ahead, cut, method
from sidecar.v1 import admin_pb2 as api


@click.group(invoke_without_command=True)
@click.option("--conversation", default="", help="Only loops of this conversation.")
@JSON_OPTION
@on_a_line
def loops(line: Line, conversation: str, as_json: bool) -> None:
    """Loops that are broken off now. Without a command: list them."""
    request = api.ListLoopsRequest(conversation=conversation)
    answer = line.listed(line.stub.ListLoops, request, "loops")
    if as_json:
        say_json(answer)
        return
    columns = (wide("Id"), Column("Kind"), wide("Edge"), wide("Conversation"), number("Goes on"))
    Screen().table(columns, (row(loop) for loop in answer.loops), "No loop is broken off.")


def row(loop: api.Loop) -> tuple[Cell, ...]:
    edge = loop.edge
    where = f"{cut(edge.caller, 20)} → {cut(edge.callee, 20)} {cut(method(edge.method), 28)}"
    return loop.id, loop.kind, where, loop.conversation, ahead(loop.until_unix_ms)


@loops.command()
@click.argument("loop_id", metavar="ID")
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def resume(line: Line, loop_id: str, because: str, as_json: bool) -> None:
    """Let the loop ID go on before its cool-down has passed."""
    change = line.call(line.stub.ResumeLoop, api.ResumeLoopRequest(id=loop_id, because=because))
    tell(change, f"{loop_id} goes on", as_json=as_json)
