"""kill -9 of a sidecar at work, with all its state in one file: the next process goes on where this one was cut off."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from grpc import aio

from sidecar.engine.state import Store
from sidecar.engine.state.ledger import Hold, Purse
from sidecar.stores.sqlite import open_sqlite
from sidecar.system import SystemClock
from tests.desk import A2A, COST, ESTIMATE, PRICES, SEND, STREAM, Desk, Heard, ask, running_desk, spec
from tests.process.programs import Program

CALLS, IN_FLIGHT, ANSWERED = 150, 12, 60
"""Calls to be made, how many of them at once, and after how many answers the process is killed."""


@contextmanager
def sidecar(folder: Path, upstream: str) -> Iterator[tuple[Program, str]]:
    """As a user runs it: a file of configuration, specs, a store in a file."""
    for method in (SEND, STREAM):
        (folder / f"{method.rpartition('/')[2]}.json").write_text(json.dumps(spec(method)))
    tree = {
        "agent": "desk",
        "mode": "enforce",
        "routes": [{"listen": "127.0.0.1:0", "upstream": upstream, "caller": "planner", "callee": "desk"}],
        "descriptors": [str(A2A)],
        "specs": ["SendMessage.json", "SendStreamingMessage.json"],
        "store": "sqlite:state.db",
        "idempotency": {"wait": "0s"},
        "budgets": [{"name": "all", "scope": "global", "limit_usd": 10}],
        "prices": PRICES,
        "loops": False,  # all of it is one conversation, and much alike
        "metrics": False,
        "tracing": {"exporter": "none"},
    }
    (folder / "sidecar.yaml").write_text(yaml.safe_dump(tree))
    program = Program("-m", "sidecar", "run", "-c", str(folder / "sidecar.yaml"))
    try:
        port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
        program.read_until("^ready")
        yield program, f"127.0.0.1:{port}"
    finally:
        program.close()


@asynccontextmanager
async def file_of(folder: Path) -> AsyncIterator[Store]:
    store = open_sqlite(folder / "state.db", SystemClock())
    yield store
    await store.close()


async def money_in(folder: Path) -> tuple[int, int]:
    """Spent and held."""
    async with file_of(folder) as store:
        balance = (await store.ledger.balances([Hold(Purse("all", ""), 0)]))[0]
        return balance.spent_micro_usd, balance.held_micro_usd


async def tasks_in(folder: Path, numbers: range) -> dict[int, str]:
    async with file_of(folder) as store:
        known = {number: await store.tasks.known_task("desk", f"t-k{number}") for number in numbers}
        return {number: task.state for number, task in known.items() if task is not None}


def method_of(number: int) -> str:
    return (SEND, STREAM)[number % 2]


async def asked(channel: Any, number: int) -> Heard:
    return await ask(channel, method_of(number), f"k{number}", f"work {number}")


async def until_killed(address: str, program: Program) -> dict[int, Heard]:
    """What callers were answered before the process was gone."""
    answers: dict[int, Heard] = {}
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def one(channel: Any, number: int) -> None:
        async with turns:
            answer = await asked(channel, number)
        if answer.code == "OK":
            answers[number] = answer
        if len(answers) == ANSWERED:
            program.kill()

    async with aio.insecure_channel(address) as channel:
        await asyncio.gather(*(one(channel, number) for number in range(CALLS)))
    return answers


async def test_claims_budgets_and_task_states_are_as_they_were(tmp_path: Path):
    """Killed with a dozen calls under way. What was answered is known; what was cut off is in doubt, and paid for."""
    async with running_desk() as (desk, upstream):
        desk.pause_s = 0.02
        with sidecar(tmp_path, upstream) as (program, address):
            answers = await until_killed(address, program)
        spent, held = await money_in(tmp_path)
        tasks = await tasks_in(tmp_path, range(CALLS))
        settled, cut_off = spent // COST, held // ESTIMATE
        assert ANSWERED <= len(answers) < CALLS
        assert (spent, held) == (settled * COST, cut_off * ESTIMATE)
        assert len(answers) <= settled
        assert 0 < cut_off <= IN_FLIGHT
        assert len(desk.done) <= settled + cut_off
        assert {tasks[number] for number in answers} == {"TASK_STATE_COMPLETED"}
        with sidecar(tmp_path, upstream) as (_, address):
            assert await money_in(tmp_path) == (spent, held)
            assert await tasks_in(tmp_path, range(CALLS)) == tasks
            runs = await all_are_asked_again(desk, address, answers)
        assert await money_in(tmp_path) == (spent + runs * COST, held)


async def all_are_asked_again(desk: Desk, address: str, answers: dict[int, Heard]) -> int:
    """Each is answered from the record, in flight for as long as its lease lasts, or runs for the first time.

    How many ran.
    """
    done = Counter(desk.done)
    async with aio.insecure_channel(address) as channel:
        for number in range(CALLS):
            again = await asked(channel, number)
            if number in answers:
                assert (again.reply, again.messages) == ("REPLAYED", answers[number].messages)
            assert again.reply in ("", "REPLAYED", "DUPLICATE_IN_FLIGHT")
            runs = desk.done[f"work {number}"] - done[f"work {number}"]
            assert runs == (again.reply == "")
    assert max(desk.done.values()) == 1
    return sum(desk.done.values()) - sum(done.values())
