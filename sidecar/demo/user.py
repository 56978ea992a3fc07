"""The person outside: sends A2A messages over plain gRPC and notes exactly what comes back.

No client library stands between the wire and what is noted here, so a status, its details and its trailers are seen as
they were sent. Nothing is sent besides what A2A asks for: no trace headers, no metadata of ours.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from a2a.types import a2a_pb2, a2a_pb2_grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2

CALL_LIMIT_S = 15.0
METADATA = (("a2a-version", "1.0"),)


@dataclass(slots=True)
class Answer:
    """All that one call brought back."""

    code: str = "OK"
    message: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Each response message in A2A's JSON form."""
    arrivals_s: list[float] = field(default_factory=list)
    """When each came, in seconds since the call began."""
    elapsed_s: float = 0.0
    reply: str = ""
    """The `sidecar-reply` trailer: set where a sidecar answered in the callee's place."""
    hint: str = ""
    """The `sidecar-hint` trailer: what is about to be refused."""
    info: error_details_pb2.ErrorInfo = field(default_factory=error_details_pb2.ErrorInfo)
    quota: error_details_pb2.QuotaFailure = field(default_factory=error_details_pb2.QuotaFailure)

    @property
    def reason(self) -> str:
        """Domain and reason of the ErrorInfo: `sidecar/REQUEST_SPEC_VIOLATION`."""
        return f"{self.info.domain}/{self.info.reason}"

    @property
    def state(self) -> str:
        """The task's last state, without its prefix; empty where no task was told of."""
        found = ""
        for event in self.events:
            status = event.get("task", event.get("statusUpdate", {})).get("status", {})
            found = status.get("state", found)
        return found.removeprefix("TASK_STATE_")

    @property
    def said(self) -> str:
        """What the agent said about the task's end."""
        last = self.events[-1] if self.events else {}
        status = last.get("task", last.get("statusUpdate", {})).get("status", {})
        return " ".join(part.get("text", "") for part in status.get("message", {}).get("parts", []))

    @property
    def data(self) -> dict[str, Any]:
        """The first data part of a message; empty where there is none."""
        parts = [part for event in self.events for part in event.get("message", {}).get("parts", [])]
        return next((part["data"] for part in parts if "data" in part), {})

    @property
    def chunk_arrivals_s(self) -> list[float]:
        """When each piece of the artifact came."""
        pairs = zip(self.events, self.arrivals_s, strict=True)
        return [arrived_s for event, arrived_s in pairs if "artifactUpdate" in event]

    @property
    def sentences(self) -> int:
        """Text parts in the artifacts, streamed or whole."""
        artifacts = [artifact for event in self.events for artifact in artifacts_in(event)]
        return sum(1 for artifact in artifacts for part in artifact["parts"] if "text" in part)


def artifacts_in(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "artifactUpdate" in event:
        return [event["artifactUpdate"]["artifact"]]
    return list(event.get("task", {}).get("artifacts", []))


async def ask(
    address: str,
    part: Mapping[str, Any],
    *,
    context_id: str = "",
    is_streaming: bool = False,
    is_impatient: bool = False,
) -> Answer:
    """One message with one part (`{"text": ...}` or `{"data": ...}`), as a new conversation where no id is given.

    `is_impatient`: the task itself is answer enough, its end is not waited for.
    """
    answer = Answer()
    began_s = time.monotonic()
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            async for event in events_of(channel, request_of(part, context_id, is_impatient), is_streaming, answer):
                answer.events.append(MessageToDict(event))
                answer.arrivals_s.append(time.monotonic() - began_s)
        except grpc.aio.AioRpcError as error:
            note_error(answer, error)
    answer.elapsed_s = time.monotonic() - began_s
    return answer


async def events_of(channel: grpc.aio.Channel, request: Any, is_streaming: bool, answer: Answer) -> AsyncIterator[Any]:
    stub: Any = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call] # generated without types
    if not is_streaming:
        call = stub.SendMessage(request, metadata=METADATA, timeout=CALL_LIMIT_S)
        yield await call
        note_trailers(answer, await call.trailing_metadata())
        return
    async for event in stub.SendStreamingMessage(request, metadata=METADATA, timeout=CALL_LIMIT_S):
        yield event


def request_of(part: Mapping[str, Any], context_id: str, is_impatient: bool = False) -> Any:
    message = {
        "messageId": str(uuid.uuid4()),
        "contextId": context_id or str(uuid.uuid4()),
        "role": "ROLE_USER",
        "parts": [dict(part)],
    }
    configuration = {"returnImmediately": is_impatient}
    return ParseDict({"message": message, "configuration": configuration}, a2a_pb2.SendMessageRequest())


def note_trailers(answer: Answer, metadata: Any) -> dict[str, Any]:
    trailers = dict(metadata or ())
    answer.reply = str(trailers.get("sidecar-reply", ""))
    answer.hint = str(trailers.get("sidecar-hint", ""))
    return trailers


def note_error(answer: Answer, error: grpc.aio.AioRpcError) -> None:
    trailers = note_trailers(answer, error.trailing_metadata())
    answer.code = error.code().name
    answer.message = error.details() or ""
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for detail in status.details:
        if not detail.Unpack(answer.info):
            detail.Unpack(answer.quota)
