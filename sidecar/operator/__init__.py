"""The operator's side of the admin service: commands that look at a running sidecar and change it.

- *line*: how a sidecar is reached, and what a person is told when it is not
- *words*: numbers, times and names as people read them; nothing that came from a network can steer the terminal
- *screen*: tables and trees for 80 columns, with and without colour and Unicode
- one file a command, or a group of commands on one noun

Every command can print JSON instead (`--json`): the messages of `admin.proto`, as protobuf writes them.
"""

from __future__ import annotations

import click

from sidecar.operator.budgets import budgets
from sidecar.operator.completion import completion
from sidecar.operator.conversation import conversation, conversations
from sidecar.operator.hold import quarantine, release
from sidecar.operator.loops import loops
from sidecar.operator.modes import modes
from sidecar.operator.specs import specs
from sidecar.operator.status import status
from sidecar.operator.tail import tail
from sidecar.operator.tasks import tasks
from sidecar.operator.top import top
from sidecar.operator.traffic import agents, edges, exchanges
from sidecar.operator.verifiers import verifiers

__all__ = ["COMMANDS"]

COMMANDS: tuple[click.Command, ...] = (
    status,
    top,
    tail,
    agents,
    edges,
    exchanges,
    conversations,
    conversation,
    tasks,
    specs,
    verifiers,
    budgets,
    loops,
    quarantine,
    release,
    modes,
    completion,
)
