"""The three calls of `sidecar.v1.Verifier`, answered from one bench."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Never

import grpc

from sidecar.v1 import verifier_pb2_grpc
from verifiers.base import wire
from verifiers.base.bench import Bench, Busy
from verifiers.base.description import Description
from verifiers.base.scorecard import Scorecard
from verifiers.base.verdict import Verdict, unknown

log = logging.getLogger(__name__)

MAX_STREAM_IN_WORK = 8
"""Evidence of one stream that is judged or waits at a time; the next is not read before. That is its back-pressure."""


class Refused(Exception):
    """This evidence is not judged. The words are for the caller."""

    def __init__(self, reason: str, code: grpc.StatusCode, message: str) -> None:
        self.reason = reason
        self.code = code
        super().__init__(message)


class Service(verifier_pb2_grpc.VerifierServicer):
    """What the sidecar, or anybody else, may ask."""

    def __init__(self, description: Description, bench: Bench, scorecard: Scorecard, limit_bytes: int) -> None:
        self._description = description
        self._bench = bench
        self._scorecard = scorecard
        self._limit_bytes = limit_bytes

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 the generated base has these names
        return wire.description_message(self._description)

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            return await self._answer(request)
        except Refused as refused:
            await context.abort(refused.code, str(refused))

    async def VerifyStream(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        """One evidence that is refused must not end the stream for the others, so it gets a verdict that says so."""
        room, writing = asyncio.Semaphore(MAX_STREAM_IN_WORK), asyncio.Lock()

        async def answer(evidence: Any) -> None:
            verdict = await self._answer_always(evidence)
            async with writing:
                await context.write(verdict)
            room.release()

        async with asyncio.TaskGroup() as group:
            async for evidence in request_iterator:
                await room.acquire()
                group.create_task(answer(evidence))

    async def _answer_always(self, evidence: Any) -> Any:
        try:
            return await self._answer(evidence)
        except Refused as refused:
            return self._message(evidence.exchange_id, unknown(refused.reason, f"It was not judged: {refused}."))

    async def _answer(self, evidence: Any) -> Any:
        """Raises `Refused`."""
        size_bytes = evidence.ByteSize()
        self._scorecard.arrived(size_bytes)
        if size_bytes > self._limit_bytes:
            self._refuse("too-large", f"the evidence has {size_bytes} bytes; at most {self._limit_bytes} are judged")
        began_s = time.monotonic()
        verdict, message = self._carried(evidence.exchange_id, await self._verdict(evidence))
        self._scorecard.judged(verdict, time.monotonic() - began_s)
        return message

    def _carried(self, exchange_id: str, verdict: Verdict) -> tuple[Verdict, Any]:
        """Nobody checks the fields of a judge's findings before protobuf does."""
        try:
            return verdict, self._message(exchange_id, verdict)
        except (AttributeError, TypeError, ValueError) as error:
            log.error("the judge's verdict cannot be sent: %s in one of its fields", type(error).__name__)
            instead = unknown("unusable-verdict", "A field of the verdict has a type or size that cannot be sent.")
            return instead, self._message(exchange_id, instead)

    async def _verdict(self, evidence: Any) -> Verdict:
        try:
            return await self._bench.verdict(partial(wire.evidence_of, evidence))
        except Busy:
            self._refuse("busy", "all places are taken and so is the room to wait in; ask again later")
        except wire.Unreadable as unreadable:
            self._refuse("unreadable", str(unreadable), grpc.StatusCode.INVALID_ARGUMENT)

    def _refuse(self, reason: str, message: str, code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED) -> Never:
        self._scorecard.refused(reason)
        raise Refused(reason, code, message)

    def _message(self, exchange_id: str, verdict: Verdict) -> Any:
        return wire.verdict_message(exchange_id, verdict, self._description)
