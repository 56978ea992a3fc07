"""Descriptions: who a verifier says it is. Asked once for each connection, beside the first question."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from sidecar.v1 import verifier_pb2

log = logging.getLogger(__name__)

DESCRIBE = "/sidecar.v1.Verifier/Describe"
SCHEMA = "schema"
"""The name, configured or described, of a verifier that is handed the spec's own schemas."""
SCHEMA_FAMILIES = frozenset({"schema", "json-schema"})
DESCRIBE_LIMIT_S = 5.0
"""A question never waits for this: it has its own, shorter limit."""


@dataclass(frozen=True, slots=True)
class Description:
    """The part of it that a panel needs."""

    name: str = ""
    version: str = ""
    family: str = ""
    max_evidence_bytes: int = 0
    """0 where it says nothing."""

    @property
    def judges_schemas(self) -> bool:
        return self.name == SCHEMA or self.family in SCHEMA_FAMILIES


class Descriptions:
    """What the verifier behind one channel says of itself, forgotten whenever the connection is lost."""

    def __init__(self, channel: aio.Channel, verifier: str) -> None:
        self._channel = channel
        self._verifier = verifier
        self._asking: asyncio.Task[Description | None] | None = None
        self._watching = asyncio.create_task(self._watch())

    @property
    def known(self) -> Description | None:
        """What it said on this connection; None while it has not."""
        asked = self._asking
        return asked.result() if asked is not None and asked.done() and not asked.cancelled() else None

    def ask(self) -> None:
        """Begin asking, unless it is known or under way."""
        if self._asking is None or (self._asking.done() and self.known is None):
            self._asking = asyncio.create_task(self._ask())

    async def wait(self) -> Description | None:
        """None where the verifier would not say."""
        self.ask()
        assert self._asking is not None
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        tasks = [task for task in (self._asking, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self) -> Description | None:
        try:
            payload = await self._channel.unary_unary(DESCRIBE)(b"", timeout=DESCRIBE_LIMIT_S)
            said = verifier_pb2.Description.FromString(payload)
        except aio.AioRpcError as error:
            # Whoever does not implement it goes by the configured name; whoever fails is asked again next time.
            return Description() if error.code() is grpc.StatusCode.UNIMPLEMENTED else None
        except DecodeError:
            log.warning("verifier %s describes itself in bytes that are no description", self._verifier)
            return None
        return Description(said.name, said.version, said.family, said.max_evidence_bytes)

    async def _watch(self) -> None:
        """Another process may answer after a reconnect, so what the old one said is forgotten."""
        while True:
            state = self._channel.get_state()
            await self._channel.wait_for_state_change(state)
            if state is grpc.ChannelConnectivity.READY:
                self._asking = None
