"""The check: a memory for each open stream whose spec names the protocol that orders its messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal

from sidecar.checks.stream.a2a import Breach, Memory
from sidecar.engine.exchange import Answer, Exchange, Status
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.specs import Spec
from sidecar.errors import MalformedMessage, Reason


class StreamCheck:
    """Holds the messages of a stream to their order. A stream that cannot be read is not judged."""

    name = "stream"
    fail: Literal["open", "closed"] = "open"

    def __init__(self, *, answers_once: Callable[[Exchange], bool]) -> None:
        """`answers_once`: whether a method is known to send one response, which is no stream."""
        self._answers_once = answers_once
        self._memories: dict[Exchange, Memory] = {}

    def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        spec = exchange.spec
        if spec is None or spec.stream is None or message.direction is Direction.REQUEST:
            return None
        if not message.is_readable or self._answers_once(exchange):
            self._memories.pop(exchange, None)
            return None
        try:
            memory = self._memories.get(exchange) or self._begun(exchange, message)
            return findings_of(spec, memory.saw(message.document)) if memory else None
        except MalformedMessage:
            self._memories.pop(exchange, None)
            return [malformed(spec)] if spec.response.is_empty else None

    def on_answer(self, exchange: Exchange, answer: Answer) -> Sequence[Finding] | None:
        """Whether the stream may end here. One that ends with an error has not come to its end."""
        spec = exchange.spec
        if spec is None or spec.stream is None or answer.status.code != "OK" or self._answers_once(exchange):
            return None
        memory = self._memories.get(exchange) or (Memory() if exchange.responses.messages == 0 else None)
        return findings_of(spec, memory.ended()) if memory else None

    def on_end(self, exchange: Exchange, _status: Status) -> None:
        self._memories.pop(exchange, None)

    def _begun(self, exchange: Exchange, message: Message) -> Memory | None:
        """None in the middle of a stream whose beginning could not be read."""
        if message.sequence > 0:
            return None
        memory = self._memories[exchange] = Memory()
        request = exchange.last_request
        if request is not None and request.is_readable:
            with suppress(MalformedMessage):
                memory.asked(request.document)
        return memory


def findings_of(spec: Spec, breaches: Iterable[Breach]) -> list[Finding] | None:
    return [finding_of(spec, breach) for breach in breaches] or None


def finding_of(spec: Spec, breach: Breach) -> Finding:
    """`writer/v1: 3.1.2: the stream begins with an update, before any task or message`."""
    return Finding(
        check=StreamCheck.name,
        rule=breach.rule,
        severity=Severity.ERROR,
        message=f"{spec.name}: {breach.section}: {breach.sentence}",
        reason=Reason.RESPONSE_SPEC_VIOLATION,
        mode=spec.mode,
        spec=spec.name,
        pointer=breach.pointer,
        evidence={"section": breach.section},
    )


def malformed(spec: Spec) -> Finding:
    """Said by the spec check where the spec has terms for it; else here, or garbage would be a way round the rules."""
    sentence = "a message cannot be parsed as the type that its method declares, so its stream cannot be followed"
    return finding_of(spec, Breach("malformed", "3.2.3", sentence))
