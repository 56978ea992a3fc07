"""Every command of an operator, to be put under `sidecar`."""

from __future__ import annotations

import click

from sidecar.operator.budgets import budgets
from sidecar.operator.completion import completion
from sidecar.operator.conversation import conversation, conversations
from sidecar.operator.hold import quarantine, release
from sidecar.operator.loops import loops
from sidecar.operator.modes import modes
from sidecar.operator.specs import specs
from sidecar.operator.status import config, status
from sidecar.operator.tail import tail
from sidecar.operator.tasks import tasks
from sidecar.operator.top import top
from sidecar.operator.traffic import agents, edges, exchanges
from sidecar.operator.verifiers import verifiers

COMMANDS: tuple[click.Command, ...] = (
    status,
    config,
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
