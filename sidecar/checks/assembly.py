"""An assembly: what a stream has told its caller so far, as the one document that a finished task would be.

A2A streams an answer as events (A2A v1, StreamResponse): a task, then changes of its status, and chunks of artifacts
that start one or are appended to it. The last event says little; the answer is what all of them made. Verifiers know
the shape of a task, so that is what they are shown: `{"task": {"status": ..., "artifacts": [...], "history": [...]}}`.

- A chunk with `append` continues its artifact, and text that the cut divided is one text again: a model's words come in
  pieces, and half a number is another number. Without `append` it takes the artifact's place, as at a client.
- What the agent said beside earlier states stands in `history`, in order.
- A later snapshot of the task replaces the artifacts that it names and takes none away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from sidecar.engine.message import JSON, Message
from sidecar.errors import MalformedMessage

EVENTS = ("task", "statusUpdate", "artifactUpdate", "message")
"""What an A2A stream consists of: exactly one of these in each document."""

EVENT_BYTES = 128
"""Charged for each event beside its payload: many small ones cost more than their bytes."""


@dataclass(frozen=True, slots=True)
class AssemblyLimits:
    """Past these an answer is cut off, and whoever judges it is told so."""

    stream_bytes: int = 4 << 20
    """Payload bytes of one stream's events."""
    total_bytes: int = 64 << 20
    """The same of all streams that are open."""


class Assembly:
    """One stream's events, folded as they come. Events of other protocols leave it empty."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.is_cut_off = False
        """Some event was not taken, for want of room."""
        self.is_readable = True
        """False once an event had no document."""
        self._task: dict[str, JSON] = {}
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self._history: list[JSON] = []
        self._spoken: list[JSON] = []
        """What the agent said beside earlier states."""

    @property
    def is_empty(self) -> bool:
        """Whether no event has told anything that a last event does not tell by itself."""
        return not self._artifacts and not self._spoken

    def add(self, message: Message, room_bytes: int) -> int:
        """Fold one event in, if its bytes fit. Returns how many bytes are held from now on."""
        document = self._document(message)
        size_bytes = message.size_bytes + EVENT_BYTES
        if not is_event(document):
            return 0
        if size_bytes > room_bytes:
            self.is_cut_off = True
            return 0
        self._fold(document)
        self.size_bytes += size_bytes
        return size_bytes

    def _document(self, message: Message) -> JSON:
        try:
            if message.is_readable:
                return message.document
        except MalformedMessage:
            pass
        self.is_readable = False
        return None

    def finished(self, last: JSON) -> JSON:
        """The whole answer, `last` being the event that ends it; `last` itself where it is all that was said.

        The last event always has room, and is not kept: a stream may go on after an interruption.
        """
        if self.is_empty or not is_event(last):
            return last
        whole = self._copy()
        whole._fold(last)
        return {"task": whole._as_task()}

    def _copy(self) -> Assembly:
        copy = Assembly()
        copy._task, copy._history, copy._spoken = dict(self._task), self._history, list(self._spoken)
        copy._artifacts = {key: artifact.copy() for key, artifact in self._artifacts.items()}
        return copy

    def _as_task(self) -> JSON:
        lists = {
            "artifacts": [artifact.document() for artifact in self._artifacts.values()],
            "history": [*self._history, *self._unlisted()],
        }
        return {**self._task, **{name: entries for name, entries in lists.items() if entries}}

    def _unlisted(self) -> Iterator[JSON]:
        """Spoken messages that the task's own history does not have, word for word."""
        listed = {str(message.get("messageId")): message for message in objects(self._history)}
        return (message for message in self._spoken if listed.get(str(message.get("messageId"))) != message)

    def _fold(self, document: Mapping[str, JSON]) -> None:
        task, status, chunk, message = (document.get(name) for name in EVENTS)
        if is_object(task):
            self._take_task(task)
        if is_object(status):
            self._take_status(status)
        if is_object(chunk):
            self._take_chunk(chunk)
        if is_object(message):
            self._spoken.append(message)

    def _take_task(self, task: Mapping[str, JSON]) -> None:
        self._set_status(task.get("status"))
        self._task |= {name: value for name, value in task.items() if name not in ("status", "artifacts", "history")}
        if isinstance(task.get("history"), list):
            self._history = task["history"]
        for artifact in objects(task.get("artifacts")):
            self._artifact(str(task.get("id", "")), artifact, is_new=True).extend(artifact)

    def _take_status(self, update: Mapping[str, JSON]) -> None:
        self._name(update)
        self._set_status(update.get("status"))

    def _take_chunk(self, update: Mapping[str, JSON]) -> None:
        self._name(update)
        if is_object(artifact := update.get("artifact")):
            is_new = update.get("append") is not True
            self._artifact(str(update.get("taskId", "")), artifact, is_new=is_new).extend(artifact)

    def _artifact(self, task_id: str, artifact: Mapping[str, JSON], *, is_new: bool) -> Artifact:
        """Ids of artifacts are unique within their task, and a stream may speak of another one."""
        key = task_id, str(artifact.get("artifactId", ""))
        if is_new or key not in self._artifacts:
            self._artifacts[key] = Artifact()
        return self._artifacts[key]

    def _set_status(self, status: JSON) -> None:
        if not is_object(status):
            return
        before = self._task.get("status")
        if is_object(before) and is_object(said := before.get("message")) and said != status.get("message"):
            self._spoken.append(said)
        self._task["status"] = status

    def _name(self, update: Mapping[str, JSON]) -> None:
        for name, told in (("id", "taskId"), ("contextId", "contextId")):
            if told in update:
                self._task.setdefault(name, update[told])


@dataclass(slots=True)
class Artifact:
    """One artifact as far as it has come."""

    _fields: dict[str, JSON] = field(default_factory=dict)
    _parts: list[dict[str, JSON]] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    """Pieces of the last part's text. They are joined once, for there may be thousands."""

    def extend(self, chunk: Mapping[str, JSON]) -> None:
        self._fields |= {name: value for name, value in chunk.items() if name != "parts"}
        for index, part in enumerate(objects(chunk.get("parts"))):
            if index == 0 and self._continues(part):
                self._texts.append(part["text"])
            else:
                self._join()
                self._parts.append(dict(part))
                self._texts = [part["text"]] if isinstance(part.get("text"), str) else []

    def copy(self) -> Artifact:
        return Artifact(dict(self._fields), [dict(part) for part in self._parts], list(self._texts))

    def document(self) -> JSON:
        self._join()
        return {**self._fields, "parts": [dict(part) for part in self._parts]}

    def _continues(self, part: Mapping[str, JSON]) -> bool:
        """Whether the text of the last part goes on: both are text, and alike in all else."""
        return (
            bool(self._texts)
            and isinstance(part.get("text"), str)
            and {**self._parts[-1], "text": ""} == {**part, "text": ""}
        )

    def _join(self) -> None:
        if len(self._texts) > 1:
            self._parts[-1]["text"] = "".join(self._texts)
            self._texts = [self._parts[-1]["text"]]


def is_event(document: JSON) -> bool:
    return is_object(document) and any(is_object(document.get(name)) for name in EVENTS)


def is_object(value: JSON) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def objects(value: JSON) -> list[dict[str, JSON]]:
    return [each for each in value if is_object(each)] if isinstance(value, list) else []
