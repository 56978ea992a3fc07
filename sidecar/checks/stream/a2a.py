"""What A2A v1 says of the messages of one stream, in their order, and what must be remembered to hold it to that.

A stream is one Message and then its end, or a Task and then updates of that task, until a state in which it may end.
Each rule names the section of the protocol's text (A2A v1.0) it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sidecar.engine.conversation import bounded
from sidecar.engine.message import JSON
from sidecar.engine.moments import moment_ns
from sidecar.engine.specs import A2A, quoted

ARTIFACTS_MAX: Final = 1_000
"""Artifacts of one stream that are followed. Of those past them only the end of the stream is known."""

KINDS: Final = {
    "task": ("the task", "4.1.1"),
    "message": ("the message", "4.1.4"),
    "statusUpdate": ("the status update", "4.2.1"),
    "artifactUpdate": ("the artifact update", "4.2.2"),
}
"""What a message of a stream may be, in words, and the section that says what it is about."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule of the protocol that a stream breaks."""

    rule: str
    section: str
    sentence: str
    pointer: str = ""


@dataclass(slots=True)
class Memory:
    """One stream as far as it has come."""

    asked_context: str = ""
    asked_task: str = ""
    asked_section: str = ""
    """The section by which the answer is about the task that was asked for."""
    events: int = 0
    context: str = ""
    task: str = ""
    state: str = ""
    """The last one told; empty while none was."""
    told_ns: int | None = None
    """When the newest status says it is from."""
    is_message: bool = False
    """Whether the stream is a direct answer."""
    artifacts: dict[str, bool] = field(default_factory=dict)
    """By id: whether the last chunk has come."""

    def asked(self, request: JSON) -> None:
        """What the stream was asked for with: a message that may go on with a task, or the id of one."""
        message = inside(request, "message")
        self.asked_context = text(message, "contextId")
        if message:
            self.asked_task, self.asked_section = text(message, "taskId"), "3.4.2"
        else:
            self.asked_task, self.asked_section = text(request, "id"), "3.1.6"

    def saw(self, response: JSON) -> Iterator[Breach]:
        """The rules that this message breaks, as the next one of its stream."""
        kind = next((each for each in KINDS if inside(response, each)), "")
        event = inside(response, kind)
        yield from self._place(kind)
        yield from self._names(kind, event)
        if kind == "artifactUpdate":
            yield from self._chunk(event)
        elif kind in ("task", "statusUpdate"):
            yield from self._status(kind, inside(event, "status"))
        if kind == "task":
            self._keep_artifacts(event)
        self.is_message = self.is_message or (kind == "message" and self.events == 0)
        self.events += 1

    def ended(self) -> Iterator[Breach]:
        """The rules that a stream breaks by ending well here."""
        if self.events == 0:
            yield Breach("ends", "3.1.2", "the stream ended with neither a task nor a message")
        elif not self.is_message and self.state not in A2A.terminal | A2A.interrupted:
            said = quoted(self.state) if self.state in A2A.states else "no known state"
            yield Breach("ends", "3.1.2", f"the stream ended with its task in {said}, neither terminal nor interrupted")

    def _place(self, kind: str) -> Iterator[Breach]:
        if self.events == 0:
            if kind in ("statusUpdate", "artifactUpdate"):
                yield Breach("begins", "3.1.2", "the stream begins with an update, before any task or message")
        elif self.is_message:
            yield Breach("message-alone", "3.1.2", "more comes after the message that should be all of its stream")
        elif kind in ("task", "message"):
            yield Breach(f"{kind}-first", "3.1.2", f"a {kind} comes after the beginning, where only updates may")
        elif self.state in A2A.terminal:
            yield Breach("after-end", "3.1.2", f"the stream goes on after {quoted(self.state)}, which should close it")

    def _names(self, kind: str, event: JSON) -> Iterator[Breach]:
        id_key = "id" if kind == "task" else "taskId"
        context, task, (words, section) = text(event, "contextId"), text(event, id_key), KINDS.get(kind, ("", ""))
        if context and context != (self.asked_context or self.context or context):
            whose = "the request" if self.asked_context else "the stream so far"
            yield Breach("same-context", "3.4.1", f"{words} is in another context than {whose}", f"/{kind}/contextId")
        if task and task != (self.asked_task or self.task or task):
            section, whose = (self.asked_section, "the request") if self.asked_task else (section, "the stream so far")
            yield Breach("same-task", section, f"{words} is about another task than {whose}", f"/{kind}/{id_key}")
        self.context, self.task = self.context or context, self.task or task

    def _status(self, kind: str, status: JSON) -> Iterator[Breach]:
        told_ns = moment_ns(text(status, "timestamp"))
        if told_ns is not None:
            if self.told_ns is not None and told_ns < self.told_ns:
                sentence = "a status is older than the one before it: events come in the order in which they were made"
                yield Breach("in-order", "3.5.2", sentence, f"/{kind}/status/timestamp")
            self.told_ns = told_ns
        self.state = text(status, "state") or self.state

    def _chunk(self, event: JSON) -> Iterator[Breach]:
        artifact = bounded(text(inside(event, "artifact"), "artifactId"))
        if isinstance(event, dict) and event.get("append") is True:
            if self.artifacts.get(artifact):
                yield Breach(
                    "after-last-chunk", "4.2.2", "a chunk is appended to an artifact after its last chunk", APPEND
                )
            elif artifact not in self.artifacts and len(self.artifacts) < ARTIFACTS_MAX:
                yield Breach(
                    "append-first", "4.2.2", "a chunk is appended to an artifact that was not sent before", APPEND
                )
        self._keep(artifact, isinstance(event, dict) and event.get("lastChunk") is True)

    def _keep_artifacts(self, task: JSON) -> None:
        """A task that is told whole brings the artifacts it has; whether they are complete it does not say."""
        artifacts = task.get("artifacts") if isinstance(task, dict) else None
        for artifact in artifacts[:ARTIFACTS_MAX] if isinstance(artifacts, list) else ():
            self._keep(bounded(text(artifact, "artifactId")), False)

    def _keep(self, artifact: str, is_complete: bool) -> None:
        if artifact in self.artifacts or len(self.artifacts) < ARTIFACTS_MAX:
            self.artifacts[artifact] = is_complete


APPEND: Final = "/artifactUpdate/append"


def inside(document: JSON, key: str) -> dict[str, JSON]:
    """The object under a key; an empty one where there is none."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def text(document: JSON, key: str) -> str:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""
