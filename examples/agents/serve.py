"""What every agent here shares: its flags, its gRPC server, its log, and a decent end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import a2a_pb2_grpc

from examples.agents.peer import card_of

log = logging.getLogger("agent")

STOP_GRACE_S = 2.0
"""How long open calls may go on once the agent was told to stop."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where an agent listens, where its peers are, and how fast it talks."""

    listen: str
    peers: Mapping[str, str]
    pace_s: float
    """Pause between two pieces of a streamed answer, as long as somebody takes to think of the next."""


Build = Callable[[Settings], AgentExecutor]


def read_settings(
    name: str, arguments: Sequence[str], environ: Mapping[str, str], needs: Sequence[str] = ()
) -> Settings:
    """The flags; a peer that no flag names is looked for in PEER_<NAME>. Exits where one of `needs` is nowhere."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.agents.{name}")
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="HOST:PORT", help="where to take calls")
    parser.add_argument("--peer", action="append", default=[], type=peer_flag, metavar="NAME=HOST:PORT")
    parser.add_argument("--pace-ms", type=float, default=100.0, help="pause between pieces of a streamed answer")
    flags = parser.parse_args(arguments)
    peers = peers_in(environ) | dict(flags.peer)
    for missing in (need for need in needs if need not in peers):
        parser.error(f"where is {missing}? Say --peer {missing}=HOST:PORT or set PEER_{missing.upper()}")
    return Settings(flags.listen, peers, flags.pace_ms / 1000)


def peer_flag(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=HOST:PORT")
    return name, address


def peers_in(environ: Mapping[str, str]) -> dict[str, str]:
    prefix = "PEER_"
    return {key.removeprefix(prefix).lower(): value for key, value in environ.items() if key.startswith(prefix)}


def serve_agent(name: str, build: Build, arguments: Sequence[str], needs: Sequence[str] = ()) -> None:
    """Run one agent until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("a2a").setLevel(logging.ERROR)
    settings = read_settings(name, arguments, os.environ, needs)
    asyncio.run(serve(name, settings, build))


async def serve(name: str, settings: Settings, build: Build) -> None:
    server, port = await start(name, settings, build)
    log.info("%s listens on port %d", name, port)
    await told_to_stop()
    await server.stop(STOP_GRACE_S)


async def start(name: str, settings: Settings, build: Build) -> tuple[grpc.aio.Server, int]:
    """A running server and the port it got. RuntimeError where the address cannot be bound."""
    card = card_of(name, settings.listen, is_streaming=True)
    handler = DefaultRequestHandler(build(settings), InMemoryTaskStore(), card)
    # Without this option two processes may share one port, and an occupied one goes unnoticed.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_service: Callable[..., None] = a2a_pb2_grpc.add_A2AServiceServicer_to_server
    add_service(GrpcHandler(handler), server)
    port = server.add_insecure_port(settings.listen)
    await server.start()
    return server, port


async def told_to_stop() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
