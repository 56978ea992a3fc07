"""Ask an agent something from the command line: `python -m examples.agents.ask --to 127.0.0.1:50051 "bridges"`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence

import grpc
from a2a.client import ClientConfig, ClientFactory
from a2a.helpers import get_artifact_text, get_text_parts, new_text_message
from a2a.types import Role, SendMessageRequest, StreamResponse, TaskState
from a2a.utils.constants import TransportProtocol

from examples.agents.peer import PeerError, card_of


def main(arguments: Sequence[str]) -> int:
    """Print each piece of the answer as it comes. 0 where the task was done, 1 where it was not."""
    parser = argparse.ArgumentParser(prog="python -m examples.agents.ask")
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the agent's address")
    parser.add_argument("--context", default=str(uuid.uuid4()), help="contextId of a conversation to go on with")
    parser.add_argument("question", help='for example "bridges", "moon landings" or "movable type"')
    flags = parser.parse_args(arguments)
    return asyncio.run(show(flags.to, flags.question, flags.context))


async def show(address: str, question: str, context_id: str) -> int:
    has_failed = False
    try:
        async for event in ask(address, question, context_id):
            if text := text_of(event):
                print(text, flush=True)
            has_failed = has_failed or state_of(event) == TaskState.TASK_STATE_FAILED
    except PeerError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if has_failed else 0


async def ask(address: str, question: str, context_id: str) -> AsyncIterator[StreamResponse]:
    config = ClientConfig(
        grpc_channel_factory=grpc.aio.insecure_channel, supported_protocol_bindings=[TransportProtocol.GRPC]
    )
    message = new_text_message(question, context_id=context_id, role=Role.ROLE_USER)
    async with ClientFactory(config).create(card_of("agent", address, is_streaming=True)) as client:
        async for event in client.send_message(SendMessageRequest(message=message)):
            yield event


def text_of(event: StreamResponse) -> str:
    if event.HasField("artifact_update"):
        return get_artifact_text(event.artifact_update.artifact)
    if event.HasField("status_update"):
        return "\n".join(get_text_parts(event.status_update.status.message.parts))
    return "\n".join(get_text_parts(event.message.parts))


def state_of(event: StreamResponse) -> int:
    return int(event.status_update.status.state)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
