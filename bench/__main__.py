"""CPU per unary call: the sidecar in several configurations, next to bare proxies and Envoy, interleaved in one run.

The load is our own (`load`): 32 calls in flight on 4 connections, each with a question, an answer and a status of its
own (`traffic`). What is counted is the CPU time of the process in the middle (/proc/PID/stat), not of load or callee.
Compare ratios: these figures drift with the machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from a2a.types import a2a_pb2

from bench.contenders import BASE, Builder, Contender, Field, callee_and_sink, running
from bench.load import CONNECTIONS, IN_FLIGHT, load
from bench.redis_server import redis_server
from bench.scrape import Counted, counted
from bench.traffic import METHOD, answer, request, requests

WARM_UP_CALLS = 1_000


@contextmanager
def contenders_in(folder: Path, *, with_redis: bool, against: Path | None, only: str) -> Iterator[list[Contender]]:
    """All contenders in front of one callee; stopped at the end."""
    with ExitStack() as stack:
        around = stack.enter_context(callee_and_sink(folder))
        redis = stack.enter_context(redis_server(folder)) if with_redis else None
        contenders = list(Builder(folder, around).all(Field(redis, against, only)))
        stack.enter_context(running([contender.process for contender in contenders]))
        yield contenders


def assert_it_answers(contender: Contender, number: int) -> None:
    """A real client looks first: the answer is that of the callee."""
    payload = request(number, 1)
    with grpc.insecure_channel(f"127.0.0.1:{contender.process.port}") as channel:
        given = channel.unary_unary(METHOD)(payload, timeout=10)
    response = a2a_pb2.SendMessageResponse.FromString
    if response(given) != response(answer(payload)):
        raise SystemExit(f"{contender.process.name} answers something else than the callee")


def measure(contender: Contender, first: int, calls: int, conversation_calls: int) -> None:
    before_s = contender.process.cpu_s()
    load(contender.process.port, METHOD, requests(first, calls, conversation_calls), calls)
    contender.cpu_us.append((contender.process.cpu_s() - before_s) / calls * 1e6)


def assert_it_took_part(contender: Contender, calls: int) -> None:
    """The sidecar's own counts: all calls passed its checks, no check had anything to say, and guards were at work."""
    if contender.metrics is None:
        return
    seen: Counted = counted(contender.metrics)
    name = contender.process.name
    if seen.ok_calls != calls or seen.findings or seen.tasks != calls:
        raise SystemExit(f"{name} counted {seen}, and {calls} calls were made")
    if "every guard" in name and not seen.cost_usd:
        raise SystemExit(f"{name} counted no money: its guards were not at work")


def report(contenders: Sequence[Contender], calls: int) -> None:
    base = statistics.median(next(each for each in contenders if each.process.name == BASE).cpu_us)
    print(f"{'unary call, ' + str(calls) + ' a round':<32}{'CPU µs/call':>12}{'ratio':>8}{'spread':>14}{'RSS MiB':>9}")
    for contender in contenders:
        median = statistics.median(contender.cpu_us)
        spread = f"{min(contender.cpu_us):.0f}..{max(contender.cpu_us):.0f}"
        name, rss_mib = contender.process.name, contender.process.rss_mib()
        print(f"{name:<32}{median:>12.0f}{median / base:>8.2f}{spread:>14}{rss_mib:>9.0f}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="calls to each contender in all (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="interleaved rounds (%(default)s)")
    parser.add_argument("--conversation", type=int, default=5, help="calls in one conversation (%(default)s)")
    parser.add_argument("--redis", action="store_true", help="also every guard on a Redis that is started for it")
    parser.add_argument("--against", type=Path, help="another checkout, whose sidecar runs beside this one's")
    parser.add_argument("--only", default="", help="contenders whose names hold this, beside the bare unary proxy")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    calls = arguments.calls // arguments.rounds
    with (
        tempfile.TemporaryDirectory() as name,
        contenders_in(
            Path(name), with_redis=arguments.redis, against=arguments.against, only=arguments.only
        ) as contenders,
    ):
        first = 1
        for contender in contenders:
            assert_it_answers(contender, 0)
            load(contender.process.port, METHOD, requests(first, WARM_UP_CALLS, arguments.conversation), WARM_UP_CALLS)
        first += WARM_UP_CALLS
        for round_number in range(arguments.rounds):
            print(f"round {round_number + 1} of {arguments.rounds}", file=sys.stderr)
            for contender in contenders:
                measure(contender, first, calls, arguments.conversation)
            first += calls
        for contender in contenders:
            assert_it_took_part(contender, first)
        print(f"requests of {len(request(0, 1))} bytes, answers of {len(answer(request(0, 1)))},")
        print(f"{IN_FLIGHT} in flight on {CONNECTIONS} connections, {arguments.conversation} calls in a conversation;")
        print("every sidecar traces, checks schemas both ways and counts")
        report(contenders, calls)


if __name__ == "__main__":
    main()
