"""Reports: what a response says of a task, read where a spec says or where A2A has it."""

from __future__ import annotations

from typing import Final, NamedTuple

from jsonpath_rfc9535 import JSONPathError

from sidecar.engine.exchange import Exchange
from sidecar.engine.message import JSON, Message
from sidecar.engine.pipeline import names_of
from sidecar.engine.specs import A2A, Machine, Path, TaskTerms
from sidecar.errors import MalformedMessage

A2A_SERVICES: Final = ("/lf.a2a.v1.A2AService/", "/a2a.v1.A2AService/")

STATE_PREFIX: Final = "TASK_STATE_"


class Report(NamedTuple):
    """What one message says of one task."""

    task: str
    """As the payload spells its id."""
    state: str = ""
    """Empty where the message tells none."""
    is_progress: bool = False
    is_answer: bool = False


def report_of(exchange: Exchange, terms: TaskTerms | None, message: Message) -> Report | None:
    """None where the message says nothing of a task, or cannot be read: the spec check says so."""
    try:
        return declared(terms, message) if terms is not None else shaped(exchange, message)
    except MalformedMessage:
        return None


def shaped(exchange: Exchange, message: Message) -> Report | None:
    """Without a spec only what looks like A2A: a task id beside a state of its machine, or an update in its methods."""
    names = names_of(message)
    if not names.task_id:
        return None
    state = a2a_state(names.task_state)
    if state in A2A.states:
        return Report(names.task_id, state, is_progress=message.sequence > 0)
    return update(names.task_id, message.document) if exchange.method.startswith(A2A_SERVICES) else None


def declared(terms: TaskTerms, message: Message) -> Report | None:
    """Where the spec says. An id without a state is a sign of life."""
    names = names_of(message)
    task = names.task_id if terms.id is None else selected(terms.id, message.document)
    if not task:
        return None
    state = names.task_state if terms.state is None else selected(terms.state, message.document)
    if terms.machine is A2A:
        state = a2a_state(state)
    if state:
        return Report(task, state, is_progress=message.sequence > 0)
    if terms.state is None:
        return update(task, message.document)
    return Report(task, is_progress=True)


def update(task: str, document: JSON) -> Report | None:
    """An artifact, or a message that answers for the task. What else names a task (a push configuration) is no sign."""
    inside = document if isinstance(document, dict) else {}
    artifact = inside.get("artifactUpdate")
    if isinstance(artifact, dict):
        return Report(task, is_progress=True, is_answer=artifact.get("lastChunk") is True)
    return Report(task, is_progress=True, is_answer=True) if isinstance(inside.get("message"), dict) else None


def a2a_state(state: str) -> str:
    """`TASK_STATE_WORKING`, also for the short spelling of JSON payloads: `working`, `input-required`."""
    if not state or state.startswith(STATE_PREFIX):
        return state
    return STATE_PREFIX + state.upper().replace("-", "_")


def selected(path: Path, document: JSON) -> str:
    """The first value at a path as a text; empty where there is none, or no text or whole number."""
    try:
        nodes = path.select(document, 1)
    except JSONPathError:
        return ""
    value = nodes[0][1] if nodes else ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def machine_of(terms: TaskTerms | None) -> Machine:
    return A2A if terms is None else terms.machine
