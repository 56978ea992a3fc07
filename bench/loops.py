"""How well loops are found, and how often ordinary work is taken for one: `python -m bench.loops [--half tune]`.

Conversations of known truth are played through the loop check as it runs in a sidecar, in observe and with default
limits. Limits and nearness were chosen on one half of the texts; what is printed is the other half, which has other
texts, other questions and other numbers. Then, what one call costs: reading two messages, two verbs of the store, and
the judgement, in memory and in a Redis of our own.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sidecar.checks.loop import Limits
from sidecar.checks.loop.detector import measured
from sidecar.checks.loop.reading import question_of
from sidecar.engine.message import Direction
from sidecar.engine.state import Store
from sidecar.engine.state.visits import Answered
from sidecar.stores.memory import open_memory
from sidecar.stores.redis import open_redis
from sidecar.testing import ManualClock
from tests.data.loops import looping, ordinary
from tests.data.loops.play import Found, Player, message, talk_of
from tests.data.loops.talk import Ask
from tests.data.verification.sources import Half
from tests.stores.places import RedisServer

A_KIND = 20
"""Conversations of each kind in each half."""


async def main() -> None:
    options = read_options()
    print(f"half: {options.half}; {A_KIND} conversations a kind; observe; default limits\n")
    await print_found(options.half)
    await print_costs(options.half)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=["tune", "report"], default="report")
    return parser.parse_args()


async def print_found(half: Half) -> None:
    print(f"{'looping':<24}{'found':>8}{'calls':>8}{'at call':>9}   said")
    rates = []
    for kind in looping.KINDS:
        found = await played(kind, half)
        hits = [each for each in found if (each.past["reentry"] if kind == "reentry" else each.is_loop)]
        rates.append(len(hits) / len(found))
        print(line(kind, len(hits), found))
    print(f"{'all':<24}{statistics.mean(rates):>8.1%}\n")
    print(f"{'ordinary':<24}{'false':>8}{'calls':>8}{'at call':>9}   said")
    rates = []
    for kind in ordinary.KINDS:
        found = await played(kind, half)
        rates.append(sum(each.is_loop for each in found) / len(found))
        print(line(kind, sum(each.is_loop for each in found), found))
    print(f"{'all':<24}{statistics.mean(rates):>8.1%}\n")


async def played(kind: str, half: Half) -> list[Found]:
    player = Player()
    return [await player.play(talk_of(kind, number, half)) for number in range(A_KIND)]


def line(kind: str, hits: int, found: Iterable[Found]) -> str:
    found = list(found)
    calls = statistics.mean(each.calls for each in found)
    first = [each.first_past for each in found if each.first_past is not None]
    said = {
        kind: sum(1 for each in found if each.past[kind]) for kind in ("repeat", "drift", "cycle", "hops", "reentry")
    }
    near = sum(1 for each in found if each.near)
    words = ", ".join(
        [f"{kind} {count}" for kind, count in said.items() if count] + ([f"warned {near}"] if near else [])
    )
    return f"{kind:<24}{hits:>5}/{len(found):<2}{calls:>8.0f}{statistics.median(first) if first else '':>9}   {words}"


async def print_costs(half: Half) -> None:
    """Median over the conversations of all kinds; the store's verbs are what is left of the whole."""
    talks = [talk_of(kind, 0, half) for kind in (*looping.KINDS, *ordinary.KINDS)]
    asks = [step for talk in talks for step in talk.steps if isinstance(step, Ask)]
    print("µs a call, median")
    print(f"  read the request, fingerprint and likeness   {reading_us(asks):>7.1f}")
    for count in (10, 256):
        print(f"  judge a trail of {count:<3} visits                  {await judging_us(asks, count):>7.1f}")
    clock = ManualClock()
    print(f"  visit + answered in memory                   {await verbs_us(open_memory(clock), asks):>7.1f}")
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder)).start()
        store = open_redis(server.url)
        try:
            print(f"  visit + answered in Redis, one by one        {await verbs_us(store, asks):>7.1f}")
            print(f"  visit + answered in Redis, 32 at a time      {await verbs_us(store, asks, at_once=32):>7.1f}")
        finally:
            await store.close()
            server.stop()


def reading_us(asks: list[Ask]) -> float:
    player = Player()
    exchange = player._exchange(asks[0], {})
    taken = []
    for ask in asks[:2000]:
        request = message(ask.document, Direction.REQUEST)
        _ = request.document  # the spec check and the ids need it too
        begun = time.perf_counter()
        question_of(exchange, request)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


async def judging_us(asks: list[Ask], count: int) -> float:
    player, store = Player(), open_memory(ManualClock())
    trail = ()
    for number, ask in enumerate(asks[:count]):
        exchange = player._exchange(replace(ask, below=None), {})
        visit = question_of(exchange, message(ask.document, Direction.REQUEST)).visit._replace(exchange=number + 1)
        trail = (await store.visits.visit("c", visit, window_s=600)).trail
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        measured(trail, Limits())
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


async def verbs_us(store: Store, asks: list[Ask], at_once: int = 1) -> float:
    """Conversations of twenty calls."""
    player = Player()
    exchange = player._exchange(replace(asks[0], below=None), {})
    visit = question_of(exchange, message(asks[0].document, Direction.REQUEST)).visit

    async def one(number: int) -> None:
        made = visit._replace(exchange=number + 1, fingerprint=number + 1)
        await store.visits.visit(f"{number // 20}", made, window_s=600)
        await store.visits.answered(f"{number // 20}", number + 1, Answered(number, number, radius=4))

    taken = []
    for first in range(0, 1600, at_once):
        begun = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(first, first + at_once)))
        taken.append((time.perf_counter() - begun) / at_once)
    return statistics.median(taken) * 1e6


if __name__ == "__main__":
    asyncio.run(main())
