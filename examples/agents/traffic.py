"""A person who never tires: asks the planner, the writer and the teller something now and then, until told to stop.

    python -m examples.agents.traffic --planner 127.0.0.1:50051 --every-s 3 --trouble 0.05

Most of what it asks goes well. A share of it, `--trouble`, does not: facts with a broken year, a figure that the writer
makes up, a payment that is sent twice, advice until the money is spent. An agent that no flag names is not asked.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import random
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from a2a.types import TaskState

from examples.agents.ask import ask, state_of
from examples.agents.corpus import look_up
from examples.agents.peer import Peer, PeerError
from examples.agents.serve import told_to_stop

log = logging.getLogger("traffic")

TOPICS = ("bridges", "moon landings", "lighthouses")
BROKEN_TOPIC = "movable type"
"""The researcher has words for two of its years: what it answers breaks its spec."""
INVENTED_TOPIC = "tunnels"
"""The writer adds a figure of its own: a verifier says no."""
FACTS = 3
ADVICE_TOO_MANY = 5
"""Pieces of advice in one conversation; the demo's budget has money for three."""
ANSWER_LIMIT_S = 20.0
SEED = 7
"""The same questions in the same order each time: two runs can be compared."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom to ask (`host:port`, empty: nobody), how often, and what share of it goes wrong."""

    planner: str
    writer: str
    teller: str
    every_s: float
    trouble: float
    listen: str
    """Where `/healthz` says whether the last question got an answer. Empty: nowhere."""


@dataclass(slots=True)
class Tally:
    """What became of the questions."""

    asked: int = 0
    answered: int = 0
    refused: int = 0
    """Refused, or a task that failed: an answer as well."""
    is_reached: bool = False
    """Whether the last question got an answer of any kind."""


class Asker:
    """One person with three acquaintances."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writer = Peer("writer", settings.writer, is_streaming=False) if settings.writer else None
        self._teller = Peer("teller", settings.teller, is_streaming=False) if settings.teller else None
        self._topics = itertools.cycle(TOPICS)
        self._chance = random.Random(SEED)  # noqa: S311 - chooses topics, no secrets

    def next_question(self) -> Callable[[], Awaitable[None]]:
        """What is asked next; raises PeerError's kinds or RuntimeError where it was refused or failed."""
        known = [
            (self._ask_planner, self._settings.planner),
            (self._ask_writer, self._settings.writer),
            (self._ask_teller, self._settings.teller),
        ]
        chosen = self._chance.choice([question for question, address in known if address])
        is_trouble = self._chance.random() < self._settings.trouble
        return lambda: chosen(is_trouble)

    async def _ask_planner(self, is_trouble: bool) -> None:
        topic = BROKEN_TOPIC if is_trouble else next(self._topics)
        async for event in ask(self._settings.planner, topic, str(uuid.uuid4())):
            if state_of(event) == TaskState.TASK_STATE_FAILED:
                raise RuntimeError("the task failed")

    async def _ask_writer(self, is_trouble: bool) -> None:
        assert self._writer is not None
        topic = INVENTED_TOPIC if is_trouble else next(self._topics)
        facts = [fact.as_data() for fact in look_up(topic, FACTS)]
        await drained(self._writer, {"topic": topic, "facts": facts}, str(uuid.uuid4()))

    async def _ask_teller(self, is_trouble: bool) -> None:
        assert self._teller is not None
        account, context = {"id": f"account-{self._chance.randrange(5)}"}, str(uuid.uuid4())
        if self._chance.random() < 0.5:
            order = {"do": "pay", "account": account, "amount_usd": 1, "payment": str(uuid.uuid4())}
            for _ in range(2 if is_trouble else 1):
                await drained(self._teller, order, context)
            return
        for _ in range(ADVICE_TOO_MANY if is_trouble else 1):
            await drained(self._teller, {"do": "advise", "account": account, "about": str(uuid.uuid4())}, context)


async def drained(peer: Peer, data: Mapping[str, object], context_id: str) -> None:
    async for _ in peer.ask(data, context_id):
        pass


async def converse(asker: Asker, tally: Tally, every_s: float) -> None:
    while True:
        question = asker.next_question()
        tally.asked += 1
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await question()
        except (*PeerError, RuntimeError, TimeoutError) as error:
            tally.refused += 1
            tally.is_reached = not is_unreached(error)
            log.info("refused: %s", error or type(error).__name__)
        else:
            tally.answered += 1
            tally.is_reached = True
        await asyncio.sleep(every_s)


def is_unreached(error: BaseException) -> bool:
    """Whether nobody was there. A refusal is an answer."""
    return isinstance(error, TimeoutError) or "UNAVAILABLE" in str(error)


class Health(BaseHTTPRequestHandler):
    """`/healthz`: 200 where the last question got an answer."""

    tally: Tally

    def do_GET(self) -> None:
        tally = self.tally
        body = f"asked {tally.asked}, answered {tally.answered}, refused or failed {tally.refused}\n".encode()
        self.send_response(HTTPStatus.OK if tally.is_reached else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Health checks are not worth a line each."""


def serve_health(listen: str, tally: Tally) -> ThreadingHTTPServer:
    host, _, port = listen.rpartition(":")
    handler = type("BoundHealth", (Health,), {"tally": tally})
    server = ThreadingHTTPServer((host, int(port)), handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def read_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Flags, and for each that is left out TRAFFIC_<NAME>. Exits with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m examples.agents.traffic")
    for name in ("planner", "writer", "teller"):
        parser.add_argument(f"--{name}", default=environ.get(f"TRAFFIC_{name.upper()}", ""), metavar="HOST:PORT")
    parser.add_argument("--every-s", default=environ.get("TRAFFIC_EVERY_S") or "3", type=float, metavar="SECONDS")
    parser.add_argument("--trouble", default=environ.get("TRAFFIC_TROUBLE") or "0.05", type=float, metavar="SHARE")
    parser.add_argument("--listen", default=environ.get("TRAFFIC_LISTEN", ""), metavar="HOST:PORT")
    flags = parser.parse_args(arguments)
    if not (flags.planner or flags.writer or flags.teller):
        parser.error("whom to ask? Say --planner, --writer or --teller HOST:PORT, or set TRAFFIC_PLANNER ...")
    if flags.every_s <= 0 or not 0 <= flags.trouble <= 1:
        parser.error(
            f"found --every-s {flags.every_s:g} --trouble {flags.trouble:g}; allowed: above 0, and from 0 to 1"
        )
    return Settings(flags.planner, flags.writer, flags.teller, flags.every_s, flags.trouble, flags.listen)


async def run(settings: Settings) -> None:
    tally = Tally()
    if settings.listen:
        serve_health(settings.listen, tally)
    talk = asyncio.create_task(converse(Asker(settings), tally, settings.every_s))
    stop = asyncio.create_task(told_to_stop())
    await asyncio.wait({talk, stop}, return_when=asyncio.FIRST_COMPLETED)
    talk.cancel()
    await asyncio.gather(talk, return_exceptions=True)
    log.info("asked %d, answered %d, refused or failed %d", tally.asked, tally.answered, tally.refused)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(run(read_settings(sys.argv[1:], os.environ)))
