"""Three agents that ask each other round in a circle, three sidecar processes, one Redis: nobody sees the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from grpc import aio

from tests.process.programs import Program
from tests.served import serving
from tests.stores.places import RedisServer, free_port
from tests.test_loops import ASK, DESCRIPTORS, Agent, request

NAMES = ("a", "b", "c")


@contextmanager
def started(folder: Path, agent: str, routes: list[dict[str, Any]], store: str) -> Iterator[None]:
    path = folder / f"{agent}.yaml"
    tree = {
        "agent": agent,
        "mode": "enforce",
        "routes": routes,
        "descriptors": [str(DESCRIPTORS)],
        "store": store,
        "loops": {"slow": "0s"},
        "metrics": False,
        "tracing": {"exporter": "none"},
    }
    path.write_text(yaml.safe_dump(tree))
    program = Program("-m", "sidecar", "run", "-c", str(path))
    try:
        program.read_until("^ready")
        yield
    finally:
        program.close()


async def test_three_processes_break_a_loop_of_which_each_sees_only_its_own_calls(tmp_path: Path):
    """Without the shared counts it would go on until the agents' patience ends, after three hundred calls."""
    redis = RedisServer(tmp_path).start()
    inbound, outbound = [free_port() for _ in NAMES], [free_port() for _ in NAMES]
    agents = [Agent(name, outbound[place], patience=100) for place, name in enumerate(NAMES)]
    try:
        async with AsyncExitStack() as stack:
            for place, agent in enumerate(agents):
                after = (place + 1) % 3
                upstream = await stack.enter_async_context(serving(agent.answer))
                way_in = {"listen": f"127.0.0.1:{inbound[place]}", "upstream": upstream, "callee": agent.name}
                way_out = {"listen": f"127.0.0.1:{outbound[place]}", "upstream": f"127.0.0.1:{inbound[after]}"}
                edge = {"caller": agent.name, "callee": NAMES[after]}
                stack.enter_context(started(tmp_path, agent.name, [way_in, {**way_out, **edge}], redis.url))
            async with aio.insecure_channel(f"127.0.0.1:{inbound[0]}") as channel:
                await channel.unary_unary(ASK)(request("who decides?"), timeout=60)
    finally:
        redis.stop()
    heard = sum(agent.heard for agent in agents)
    assert 9 <= heard <= 18
    assert [code.name for agent in agents for code in agent.refused] == ["FAILED_PRECONDITION"]
