"""The rehearsal: a conversation's requests sent to a test agent, and its answers held against the recorded ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from sidecar.engine.canonical import OWN_FIELDS
from sidecar.engine.descriptors import Descriptors, Method
from sidecar.engine.json_codec import JsonCodec
from sidecar.engine.message import JSON, Codec, Direction
from sidecar.engine.specs import pointer_of
from sidecar.errors import MalformedMessage
from sidecar.replay.recorded import RecordedExchange

DIFFERENCES_KEPT: Final = 20
"""Of one call."""

ANSWERS_MAX: Final = 1_000
"""Messages taken of one answer."""

NEW_EACH_TIME: Final = OWN_FIELDS | {"id", "taskId", "task_id", "artifactId", "artifact_id", "lastModified"}
"""Names of fields that another run fills otherwise: ids and times. What they hold is not compared."""

VALUE_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, and how the test agent answered it."""

    exchange: RecordedExchange
    code: str
    """gRPC status name; `NOT_SENT` where the request could not be made again."""
    recorded_code: str
    differences: tuple[str, ...] = ()
    """Sentences, each with the JSON Pointer of the place."""
    note: str = ""

    @property
    def is_same(self) -> bool:
        return self.code == self.recorded_code and not self.differences


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Where requests go, and within what."""

    address: str
    """As gRPC spells it: host:port, unix:/path. Plain text."""
    deadline_s: float = 30.0
    limit: int = 20
    """Calls in all."""
    mask: Callable[[RecordedExchange, JSON], JSON] = lambda _, document: document
    """What the journal would make of an answer, so that masks are compared with masks."""


async def rehearse(exchanges: Sequence[RecordedExchange], descriptors: Descriptors, terms: Rehearsal) -> list[Answered]:
    """One call after the other, in the recorded order. Never raises for what the agent does."""
    async with aio.insecure_channel(terms.address) as channel:
        return [
            await once(channel, each, descriptors.method(each.about.method), terms) for each in exchanges[: terms.limit]
        ]


async def once(channel: aio.Channel, exchange: RecordedExchange, method: Method | None, terms: Rehearsal) -> Answered:
    ended = exchange.ended
    recorded_code = str(ended.body["code"]) if ended is not None else "UNKNOWN"
    try:
        payloads = [payload_of(each, method) for each in documents(exchange, Direction.REQUEST)]
    except (ParseError, ValueError) as error:
        return Answered(exchange, "NOT_SENT", recorded_code, note=f"the request cannot be made again: {error}")
    if not payloads:
        return Answered(exchange, "NOT_SENT", recorded_code, note="the journal kept no document of the request")
    code, answers = await sent(channel, exchange.about.method, payloads, terms.deadline_s)
    codec: Codec = method.response if method is not None else JsonCodec()
    try:
        got = [terms.mask(exchange, codec.document(codec.parse(each))) for each in answers]
    except MalformedMessage as error:
        return Answered(exchange, code, recorded_code, (f"an answer that cannot be read: {error}",))
    differences = tuple(differing(documents(exchange, Direction.RESPONSE), got))[:DIFFERENCES_KEPT]
    return Answered(exchange, code, recorded_code, differences)


async def sent(
    channel: aio.Channel, method: str, payloads: Sequence[bytes], deadline_s: float
) -> tuple[str, list[bytes]]:
    """As a stream both ways, which a unary method cannot tell from its own."""

    async def requests() -> Any:
        for payload in payloads:
            yield payload

    answers: list[bytes] = []
    call = channel.stream_stream(method)(requests(), timeout=deadline_s)
    try:
        async for answer in call:
            answers.append(answer)
            if len(answers) >= ANSWERS_MAX:
                call.cancel()
                break
        return (await call.code()).name, answers
    except aio.AioRpcError as error:
        return error.code().name, answers


def documents(exchange: RecordedExchange, direction: Direction) -> list[JSON]:
    return [each.document for each in exchange.messages if each.direction is direction and each.is_readable]


def payload_of(document: JSON, method: Method | None) -> bytes:
    """The bytes of a document. Raises ParseError where it is none of the method's type, as with masks it may be."""
    if method is None:
        return orjson.dumps(document)
    made = GetMessageClass(method.request_type)()
    ParseDict(document, made)
    payload: bytes = made.SerializeToString()
    return payload


def differing(before: Sequence[JSON], after: Sequence[JSON]) -> Iterator[str]:
    if len(before) != len(after):
        yield f"{len(after)} answers, and {len(before)} were recorded"
    for index, (one, two) in enumerate(zip(before, after, strict=False)):
        for keys, sentence in apart(one, two, ()):
            place = pointer_of(keys) or "the whole"
            yield f"answer {index} at {place}: {sentence}" if len(before) > 1 else f"{place}: {sentence}"


def apart(before: JSON, after: JSON, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where two documents differ, apart from ids and times."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if name in NEW_EACH_TIME:
                continue
            if name not in after:
                yield (*keys, name), "gone"
            elif name not in before:
                yield (*keys, name), f"new: {shown(after[name])}"
            else:
                yield from apart(before[name], after[name], (*keys, name))
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield keys, f"{len(after)} entries, and {len(before)} were recorded"
        for index, (one, two) in enumerate(zip(before, after, strict=False)):
            yield from apart(one, two, (*keys, index))
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield keys, f"{shown(after)}, and {shown(before)} was recorded"


def shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…"
