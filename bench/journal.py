"""The journal under load, under kill -9, and asked: it fails where it does not keep what docs/journal.md promises.

- *asked*: a journal of 100,000 exchanges; pages by conversation, by time, by agent, by finding, and the whole chain.
- *loaded*: two sidecars in turn, one with a journal and five onlookers of which one never reads, at 1,000 messages a
  second in calls of ten; latency of both, memory, drops, the chain.
- *killed*: kill -9 in the middle of that, again and again; the chain, what is missing, whether the next start says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import grpc
from grpc import aio

from bench.contenders import ROOT, running
from bench.processes import Process, free_port
from sidecar.admin.feed import KINDS, Wish
from sidecar.admin.looking import TAIL_ROOM
from sidecar.app import App
from sidecar.config import load as load_config
from sidecar.telemetry.journal import About, Filter, Kind, Record, SqliteReader, SqliteSink
from sidecar.telemetry.journal.chain import Verification
from sidecar.testing import ManualClock

METHOD: Final = "/bench.Echo/Say"
PAYLOAD_BYTES: Final = 690
QUESTIONS_PER_CALL: Final = 5
MESSAGES_PER_CALL: Final = 2 * QUESTIONS_PER_CALL
"""A call is a stream both ways: each question is answered before the next is asked."""

QUERY_LIMIT_S: Final = 0.5
"""For one page. What docs/journal.md calls well under a second, on a machine with other work to do."""
LOST_WITHIN_S: Final = 1.5
"""Of a kill: what was answered longer before it must be in the journal. A flush every 200 ms, and time to write."""
SLOWER_MAX, SLOWER_MAX_MS = 1.5, 2.0
"""How much longer the median call may take with a journal: a factor, and milliseconds for the noise of short ones."""
GROWTH_LIMIT_MIB: Final = 40.0
"""Of the sidecar with a journal, between the first third of the time and the last."""
TAILS: Final = 5


# Asked.


def exchange_records(number: int, at_ms: int) -> Iterator[Record]:
    """One unary call as the engine tells it; every hundredth has a finding."""
    about = About(
        exchange_id=f"{number:032x}",
        conversation=f"{number // 5 * 2654435761 % 2**64:032x}",
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        caller=f"agent-{number % 7}",
        callee=f"agent-{number % 11 + 7}" if number % 10_000 else "rare-agent",
        method=METHOD,
        side="inbound",
        route="inbound",
    )
    facts: list[tuple[Kind, dict[str, Any]]] = [
        (Kind.STARTED, {"joined": "root", "path": ["planner", "researcher"], "mode": "enforce", "spec": "bench/v1"}),
        (Kind.MESSAGE, {"direction": "request", "sequence": 0, "size_bytes": 690, "sha256": f"{number:064x}"}),
        (Kind.MESSAGE, {"direction": "response", "sequence": 0, "size_bytes": 690, "sha256": f"{number:064x}"}),
        (Kind.ENDED, {"code": "OK", "origin": "upstream", "decision": "forward", "duration_s": 0.01, "findings": 0}),
    ]
    if number % 100 == 0:
        finding = {"check": "loop", "rule": "repeat", "severity": "error", "action": "observed", "message": "again"}
        facts.insert(2, (Kind.FINDING, finding))
    for place, (kind, body) in enumerate(facts):
        yield Record(kind, (at_ms << 16) + place, at_ms * 1_000_000, about, f"task-{number}", body)


def fill(path: Path, exchanges: int, begin_ms: int) -> float:
    """CPU microseconds per record."""
    sink = SqliteSink(path, clock=ManualClock(begin_ms / 1000), max_age_s=None, max_size_bytes=8 << 30)
    sink.write([])
    count, spent_s = 0, 0.0
    for first in range(0, exchanges, 50):
        numbers = range(first, min(first + 50, exchanges))
        batch = [record for number in numbers for record in exchange_records(number, begin_ms + number * 10)]
        before_s = time.process_time()
        sink.write(batch)
        spent_s += time.process_time() - before_s
        count += len(batch)
    sink.close()
    return spent_s / count * 1e6


def asked(folder: Path, exchanges: int) -> list[str]:
    begin_ms = int(time.time() * 1000) - 86_400_000
    path = folder / "asked.db"
    per_record_us = fill(path, exchanges, begin_ms)
    size_mib = path.stat().st_size / 2**20
    print(f"{exchanges} exchanges: {size_mib:.0f} MiB, {per_record_us:.1f} CPU µs a record (chain, index, write)")
    reader, random = SqliteReader(path), Random(1)
    some = [random.randrange(exchanges) for _ in range(20)]

    def at(number: int) -> int:
        return begin_ms + number * 10

    cases = {
        "by conversation": [Filter(conversation=f"{each // 5 * 2654435761 % 2**64:032x}") for each in some],
        "by time (1 s)": [Filter(since_ms=at(each), until_ms=at(each) + 1000) for each in some],
        "by exchange": [Filter(exchange_id=f"{each:032x}") for each in some],
        "by time and agent": [Filter(since_ms=at(each), agent="agent-3") for each in some],
        "by finding": [Filter(rule="loop/repeat")] * 5,
        "by a rare agent": [Filter(agent="rare-agent")] * 3,
    }
    faults = []
    for name, filters in cases.items():
        took_s, found = [], 0
        for wanted in filters:
            before_s = time.perf_counter()
            found += len(reader.page(wanted, limit=1000).entries)
            took_s.append(time.perf_counter() - before_s)
        print(f"  {name:<20}{statistics.median(took_s) * 1000:>9.2f} ms, worst {max(took_s) * 1000:.2f}")
        if not found:
            faults.append(f"{name} found nothing")
        if max(took_s) > QUERY_LIMIT_S and name in ("by conversation", "by time (1 s)"):
            faults.append(f"{name} took {max(took_s):.2f} s")
    before_s = time.perf_counter()
    found_whole = reader.verify()
    print(f"  {'the whole chain':<20}{time.perf_counter() - before_s:>9.2f} s, {found_whole.records} records")
    reader.close()
    return [*faults, *broken(found_whole)]


def broken(found: Verification) -> list[str]:
    return [] if found.is_whole else [f"the chain is broken: {found.breaks[0].sentence}"]


# Loaded.


@dataclass(slots=True)
class Seen:
    """What a caller saw."""

    latencies_s: list[float] = field(default_factory=list)
    answered: dict[str, float] = field(default_factory=dict)
    """Monotonic seconds of each answer, by trace id."""
    failed: int = 0
    cpu_s: float = 0.0
    """Of the sidecar meanwhile."""


async def say(call: Any, number: int, seen: Seen) -> None:
    trace_id = f"{number + 1:032x}"
    before_s = time.perf_counter()
    try:
        stream = call(metadata=(("traceparent", f"00-{trace_id}-00000000000000ff-01"),))
        for _ in range(QUESTIONS_PER_CALL):
            await stream.write(os.urandom(PAYLOAD_BYTES))
            await stream.read()
        await stream.done_writing()
        await stream.read()
        if await stream.code() is not grpc.StatusCode.OK:
            raise asyncio.InvalidStateError
    except (aio.AioRpcError, asyncio.InvalidStateError):
        seen.failed += 1
        return
    seen.latencies_s.append(time.perf_counter() - before_s)
    seen.answered[trace_id] = time.monotonic()


async def paced(port: int, first: int, calls_per_s: float, seconds: float, seen: Seen) -> None:
    """Calls at a steady rate, whether or not the ones before have ended."""
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(METHOD)
        begin_s, under_way = time.perf_counter(), set[asyncio.Task[None]]()
        for number in range(int(calls_per_s * seconds)):
            await asyncio.sleep(max(begin_s + number / calls_per_s - time.perf_counter(), 0))
            task = asyncio.create_task(say(call, first + number, seen))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)


def config_of(folder: Path, name: str, port: int, callee: int, more: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""
agent: callee
routes: [{{listen: "127.0.0.1:{port}", upstream: "127.0.0.1:{callee}", callee: callee}}]
metrics: false
tracing: {{exporter: none}}
drain: {{timeout: 5s}}
{more}
"""
    )
    return path


def sidecar(folder: Path, name: str, callee: int, more: str, *, tails: int = 0) -> Process:
    port = free_port()
    config = config_of(folder, name, port, callee, more)
    command = [sys.executable, "-m", "bench.journal", "--sidecar", str(config), "--tails", str(tails)]
    return Process(name, command, port, folder / f"{name}.log", {"PYTHONPATH": str(ROOT)}, ROOT)


def echo_process(folder: Path) -> Process:
    port = free_port()
    command = [sys.executable, "-m", "bench.journal", "--serve", str(port)]
    return Process("callee", command, port, folder / "callee.log", {"PYTHONPATH": str(ROOT)}, ROOT)


def loaded(folder: Path, seconds: float, rate: float) -> list[str]:
    path = folder / "loaded.db"
    calls_per_s, slice_s = rate / MESSAGES_PER_CALL, min(5.0, seconds / 6)
    callee = echo_process(folder)
    with running([callee]):
        plain = sidecar(folder, "plain", callee.port, "")
        kept = sidecar(folder, "kept", callee.port, f'journal: "sqlite://{path}"', tails=TAILS)
        seen, rss_mib = {plain.name: Seen(), kept.name: Seen()}, list[float]()
        with running([plain, kept]):
            for each in (plain, kept):
                asyncio.run(paced(each.port, 10**9, calls_per_s, 2.0, Seen()))
            for turn in range(round(seconds / slice_s)):
                for each in (plain, kept):
                    before_s = each.cpu_s()
                    asyncio.run(paced(each.port, turn * 10**6, calls_per_s, slice_s, seen[each.name]))
                    seen[each.name].cpu_s += each.cpu_s() - before_s
                rss_mib.append(kept.rss_mib())
        faults = report_load(seen, rss_mib, rate)
    said = json.loads((folder / "kept.log").read_text().strip().splitlines()[-1])
    print(f"  onlookers: {said}")
    reader = SqliteReader(path)
    ended = sum(1 for _ in reader.entries(Filter(kinds=frozenset({Kind.ENDED}))))
    found = reader.verify()
    reader.close()
    answered = len(seen["kept"].answered)
    print(
        f"  journal: {found.records} records, {ended} ends of {answered} calls and the warm-up, {found.dropped} dropped"
    )
    if ended + found.dropped < answered:
        faults.append(
            f"{answered} calls were answered, and the journal has {ended} of their ends, {found.dropped} dropped"
        )
    if said["dropped"][-1] == 0:
        faults.append("the onlooker that never reads lost nothing, so nothing bounds what waits for it")
    return [*faults, *broken(found)]


def report_load(seen: dict[str, Seen], rss_mib: Sequence[float], rate: float) -> list[str]:
    faults, medians = list[str](), dict[str, float]()
    for name, each in seen.items():
        latencies = sorted(each.latencies_s)
        cuts = [latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.9, 0.99)]
        cpu_us = each.cpu_s / len(latencies) * 1e6
        print(
            f"  {name:<6}{len(latencies):>7} calls, ms: p50 {cuts[0]:.2f}, p90 {cuts[1]:.2f}, p99 {cuts[2]:.2f}", end=""
        )
        print(f"; {cpu_us:.0f} CPU µs a call")
        medians[name] = cuts[0]
        if each.failed:
            faults.append(
                f"{each.failed} calls of {name} failed: this machine does not take {rate:.0f} messages a second"
            )
    if medians["kept"] > medians["plain"] * SLOWER_MAX + SLOWER_MAX_MS:
        faults.append(f"half of all calls took {medians['kept']:.1f} ms with a journal, {medians['plain']:.1f} without")
    third = max(len(rss_mib) // 3, 1)
    grown = statistics.mean(rss_mib[-third:]) - statistics.mean(rss_mib[:third])
    print(f"  RSS with the journal: {rss_mib[0]:.0f} MiB at first, {rss_mib[-1]:.0f} at last, {rate:.0f} messages/s")
    if grown > GROWTH_LIMIT_MIB:
        faults.append(f"the sidecar grew by {grown:.0f} MiB")
    return faults


# Killed.


def killed(folder: Path, times: int, seconds: float, rate: float, lost_within_s: float = LOST_WITHIN_S) -> list[str]:
    """What was not as it should be, in sentences."""
    path, faults, answered = folder / "killed.db", list[str](), 0
    callee = echo_process(folder)
    with running([callee]):
        for turn in range(times):
            process = sidecar(folder, f"killed-{turn}", callee.port, f'journal: "sqlite://{path}"')
            process.wait_until_it_listens()
            seen = Seen()
            killed_at_s = asyncio.run(killed_in_between(process, turn * 10**6, rate / MESSAGES_PER_CALL, seconds, seen))
            answered += len(seen.answered)
            faults += judged(path, turn, seen, killed_at_s, lost_within_s)
            process.stop()
        process = sidecar(folder, "killed-last", callee.port, f'journal: "sqlite://{path}"')
        process.wait_until_it_listens()
        time.sleep(1.0)
        process.stop()
    reader = SqliteReader(path)
    found = reader.verify()
    reader.close()
    print(f"  after {times} kills: {found.records} records of {answered} calls, {len(found.unclean)} starts said so")
    if len(found.unclean) != times:
        faults.append(f"{times} kills, and {len(found.unclean)} starts that say so")
    return [*faults, *broken(found)]


async def killed_in_between(process: Process, first: int, calls_per_s: float, seconds: float, seen: Seen) -> float:
    """The monotonic time of the kill, in seconds."""
    calls = asyncio.create_task(paced(process.port, first, calls_per_s, seconds + 1.0, seen))
    await asyncio.sleep(seconds)
    process.kill()
    killed_at_s = time.monotonic()
    await asyncio.wait([calls], timeout=10.0)
    calls.cancel()
    await asyncio.gather(calls, return_exceptions=True)
    return killed_at_s


def judged(path: Path, turn: int, seen: Seen, killed_at_s: float, lost_within_s: float) -> list[str]:
    reader = SqliteReader(path)
    found = reader.verify()
    held = {entry.record.about.trace_id for entry in reader.entries(Filter(kinds=frozenset({Kind.ENDED})))}
    reader.close()
    missing = {trace: at_s for trace, at_s in seen.answered.items() if trace not in held and at_s <= killed_at_s}
    oldest_s = killed_at_s - min(missing.values(), default=killed_at_s)
    print(f"  kill {turn + 1}: {len(seen.answered)} answered, {len(missing)} lost, of {oldest_s * 1000:.0f} ms at most")
    faults = broken(found)
    if oldest_s > lost_within_s:
        faults.append(f"kill {turn + 1}: a call that was answered {oldest_s:.2f} s before is missing")
    if len(missing) > len(seen.answered) * 0.8:
        faults.append(f"kill {turn + 1}: nearly everything is missing")
    return faults


# The processes of it.


async def echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:  # noqa: ARG001 - a handler's form
    async for request in requests:
        yield request


async def serve(port: int) -> None:
    server = aio.server()
    service, _, method = METHOD[1:].partition("/")
    handlers = {method: grpc.stream_stream_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def run_sidecar(config: Path, tails: int) -> None:
    """A sidecar with onlookers who tail it, of which the last never reads. Says at its end what each was shown."""
    app = App(load_config(config, os.environ), environ=os.environ)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    assert app.administration is not None
    feed, everything = app.administration.feed, Wish(frozenset(KINDS.values()))
    readers = [feed.join(everything, TAIL_ROOM) for _ in range(tails)]
    shown = [0] * tails

    async def look_on(number: int) -> None:
        while True:
            event = await readers[number].next(within_s=10.0)
            shown[number] += event.WhichOneof("what") != "alive"

    looking = [asyncio.create_task(look_on(number)) for number in range(tails - 1)]
    await app.start()
    await stop.wait()
    await app.drain()
    for task in looking:
        task.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    print(json.dumps({"shown": shown, "dropped": [each.dropped for each in readers]}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["asked", "loaded", "killed"], help="one part alone")
    parser.add_argument("--exchanges", type=int, default=100_000, help="of the journal that is asked (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="under load, for each sidecar (%(default)s)")
    parser.add_argument("--rate", type=float, default=1000.0, help="messages a second (%(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sidecar", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tails", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        asyncio.run(serve(arguments.serve))
        return
    if arguments.sidecar is not None:
        asyncio.run(run_sidecar(arguments.sidecar, arguments.tails))
        return
    parts = {
        "asked": lambda folder: asked(folder, arguments.exchanges),
        "loaded": lambda folder: loaded(folder, arguments.seconds, arguments.rate),
        "killed": lambda folder: killed(folder, arguments.kills, 3.0, arguments.rate),
    }
    faults = []
    for name, part in parts.items():
        if arguments.only in (None, name):
            print(f"{name}:", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                faults += part(Path(folder))
    for fault in faults:
        print(f"FAILED: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
