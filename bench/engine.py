"""What the engine alone costs of a call: no wire, no other process, one call after the other.

The same calls as `bench` makes go through the checks as they are wired in a sidecar; only grpc is left out. With
`--profile` it says where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.contenders import GUARDS, LOOPS_OFF, Neighbours, sidecar_config
from bench.redis_server import redis_server
from bench.traffic import METHOD, answer, requests
from sidecar.app import App
from sidecar.config import load
from sidecar.engine.exchange import Answer, Arrival, Peer, Status
from sidecar.engine.finding import Forward
from sidecar.engine.message import Direction
from sidecar.proxy.passage import MethodView

WARM_UP_CALLS = 500


def apps(folder: Path, redis: str) -> Iterator[tuple[str, App]]:
    nobody = Neighbours(1, 1)
    for name, contract, more in (
        ("loops off", "contract", LOOPS_OFF),
        ("default", "contract", ""),
        ("every guard", "guarded", GUARDS),
        ("every guard, Redis", "guarded", f'{GUARDS}store: "{redis}"\n'),
    ):
        path = sidecar_config(folder / f"{name}.yaml", 0, 0, nobody, contract, more)
        path.write_text(path.read_text().replace("exporter: otlp, protocol: grpc", "exporter: none, protocol: grpc"))
        yield name, App(load(path, {}), environ={})


async def calls(app: App, first: int, count: int) -> float:
    """CPU microseconds for each call."""
    engine, described = app._engine, next(iter(app.descriptors.values())).method(METHOD)
    assert described is not None
    route = app.config.engine_route(app.config.routes[0])
    view = MethodView(METHOD, described.request, described.response, is_unary=True)
    pairs = [(payload, answer(payload)) for payload in requests(first, count, 5)]
    peer, ok = Peer("ipv4:127.0.0.1:4242"), Status("OK")
    began_s = time.process_time()
    for payload, answered in pairs:
        request = view.message(Direction.REQUEST, 0, payload)
        exchange = await engine.start(Arrival(route, METHOD, (("user-agent", "bench"),), peer, request))
        assert isinstance(await engine.message(exchange, request), Forward)
        engine.stamp(exchange)
        assert isinstance(await engine.message(exchange, view.message(Direction.RESPONSE, 0, answered)), Forward)
        assert isinstance(await engine.answered(exchange, Answer(ok)), Forward)
        await engine.end(exchange, ok)
    return (time.process_time() - began_s) / count * 1e6


async def measured(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server(folder))
        print(f"{'the engine alone, ' + str(arguments.calls) + ' calls a round':<40}{'CPU µs/call, each round':>24}")
        for name, app in apps(folder, redis):
            if arguments.only not in name:
                continue
            await app.line_up.start([])
            await calls(app, 0, WARM_UP_CALLS)
            profile = cProfile.Profile() if arguments.profile else None
            if profile:
                profile.enable()
            first, rounds = WARM_UP_CALLS, []
            for _ in range(arguments.rounds):
                rounds.append(await calls(app, first, arguments.calls))
                first += arguments.calls
            if profile:
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(40)
            print(f"{name:<40}{'  '.join(f'{each:.0f}' for each in rounds):>24}", flush=True)
            await app.line_up.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000, help="calls in a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--only", default="", help="configurations whose names hold this; `every guard` is two")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    uvloop.run(measured(parser.parse_args()))


if __name__ == "__main__":
    main()
