"""A conversation as a script: who asks whom what, below which call, what comes back, and the time between."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

SEND = "/lf.a2a.v1.A2AService/SendMessage"
STREAM = "/lf.a2a.v1.A2AService/SendStreamingMessage"
GET_TASK = "/lf.a2a.v1.A2AService/GetTask"
LIST_TASKS = "/lf.a2a.v1.A2AService/ListTasks"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    call: int
    caller: str
    callee: str
    method: str
    document: Any
    below: int | None = None
    """The call that this one is made for."""


@dataclass(frozen=True, slots=True)
class Tell:
    """The end of a call."""

    call: int
    documents: tuple[Any, ...] = ()
    code: str = "OK"
    details: str = ""
    is_last: bool = True
    """Whether the call ends with it."""


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


Step = Ask | Tell | Wait


@dataclass(slots=True)
class Talk:
    """A conversation in the making."""

    rng: random.Random
    steps: list[Step] = field(default_factory=list)
    calls: int = 0

    def ask(self, caller: str, callee: str, document: Any, *, method: str = SEND, below: int | None = None) -> int:
        self.calls += 1
        self.steps.append(Ask(self.calls, caller, callee, method, document, below))
        return self.calls

    def tell(self, call: int, *documents: Any, code: str = "OK", details: str = "") -> None:
        self.steps.append(Tell(call, documents, code, details))

    def tell_part(self, call: int, document: Any) -> None:
        """A message of a stream that goes on."""
        self.steps.append(Tell(call, (document,), is_last=False))

    def call(
        self, caller: str, callee: str, document: Any, answer: Any, *, method: str = SEND, below: int | None = None
    ) -> None:
        """Ask, be answered, and take the time that this takes."""
        asked = self.ask(caller, callee, document, method=method, below=below)
        self.wait(0.2, 3)
        self.tell(asked, answer)
        self.wait(0.1, 1)

    def wait(self, least_s: float, most_s: float) -> None:
        self.steps.append(Wait(self.rng.uniform(least_s, most_s)))

    def id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def stamp(self) -> str:
        rng = self.rng
        day, hour, minute, ms = rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59), rng.randint(1, 999)
        return f"2026-03-{day:02}T{hour:02}:{minute:02}:07.{ms:03}Z"

    def message(self, text: str = "", data: Any = None, *, message_id: str = "", **metadata: Any) -> Any:
        """An A2A request, with ids of its own."""
        parts = [{"text": text}] if text else []
        parts += [{"data": data}] if data is not None else []
        names = {"messageId": message_id or self.id(), "contextId": "the-same", "role": "ROLE_USER"}
        names |= {"metadata": metadata} if metadata else {}
        return {"message": {**names, "parts": parts}, "configuration": {"acceptedOutputModes": ["text/plain"]}}

    def task(self, text: str = "", data: Any = None, *, task_id: str = "", state: str = "COMPLETED") -> Any:
        """An A2A answer, with ids and times of its own."""
        parts = [{"text": text}] if text else []
        parts += [{"data": data}] if data is not None else []
        status = {"state": f"TASK_STATE_{state}", "timestamp": self.stamp()}
        artifacts = [{"artifactId": self.id(), "parts": parts}] if parts else []
        return {"task": {"id": task_id or self.id(), "contextId": "the-same", "status": status, "artifacts": artifacts}}
