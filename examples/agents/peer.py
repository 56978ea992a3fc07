"""Another agent, as seen by the one that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from a2a.client import ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.helpers import new_data_message
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, Role, SendMessageRequest, StreamResponse
from a2a.utils.constants import PROTOCOL_VERSION_CURRENT, TransportProtocol
from a2a.utils.errors import A2AError

PeerError = (A2AClientError, A2AError)
"""What a call to a peer may raise: no answer, or a refusal."""


class Peer:
    """Asks one other agent, with the SDK's own client over gRPC."""

    def __init__(self, name: str, address: str, *, is_streaming: bool) -> None:
        self.name = name
        config = ClientConfig(
            streaming=is_streaming,
            grpc_channel_factory=grpc.aio.insecure_channel,
            supported_protocol_bindings=[TransportProtocol.GRPC],
        )
        self._client = ClientFactory(config).create(card_of(name, address, is_streaming=is_streaming))

    async def ask(self, data: Mapping[str, Any], context_id: str | None = None) -> AsyncIterator[StreamResponse]:
        """Send one message with one data part; yield each event of the answer. Raises one of PeerError.

        Without `context_id` the peer starts a context of its own.
        """
        message = new_data_message(dict(data), context_id=context_id, role=Role.ROLE_USER)
        async for event in self._client.send_message(SendMessageRequest(message=message)):
            yield event

    async def close(self) -> None:
        await self._client.close()


def card_of(name: str, address: str, *, is_streaming: bool) -> AgentCard:
    """The card of a peer that is known by name and address alone."""
    interface = AgentInterface(
        url=address, protocol_binding=TransportProtocol.GRPC, protocol_version=PROTOCOL_VERSION_CURRENT
    )
    return AgentCard(
        name=name,
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=is_streaming),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain", "application/json"],
    )
