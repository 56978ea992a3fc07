"""Replay: recorded calls through today's specs and checks, and against a test agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sidecar.cli import main
from sidecar.replay import recorded_exchanges
from sidecar.telemetry.journal import Filter, Kind, SqliteReader
from sidecar.testing import running_sidecar
from tests.desk import A2A, PRICES, SEND, STREAM, running_desk
from tests.test_journal_app import asked, send

KEPT = {"spec": "desk/v1", "match": {"callee": "callee"}, "content": {"journal": True}}
NO_TWO = {
    **KEPT,
    "request": {"rules": [{"id": "no-two", "expr": "request.message.messageId != 'm-2'", "message": "never two"}]},
}
NO_END = {**KEPT, "response": {"rules": [{"id": "open", "expr": "response.task.id == ''", "message": "no task"}]}}


def config_of(folder: Path, *specs: Any, name: str = "today", **more: Any) -> Path:
    """Today's configuration, with these specs."""
    below = folder / f"{name}-specs"
    below.mkdir()
    for number, spec in enumerate(specs):
        (below / f"{number}.json").write_text(json.dumps(spec))
    tree = {
        "agent": "callee",
        "mode": "enforce",
        "routes": [{"listen": "127.0.0.1:50051", "upstream": "127.0.0.1:50052", "callee": "callee"}],
        "descriptors": [str(A2A)],
        "specs": [str(below)],
        **more,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


async def recorded(folder: Path, *payloads: bytes, spec: Any = KEPT, method: str = SEND, **more: Any) -> Path:
    """A journal of these calls, in one sidecar that enforces."""
    path = folder / "recorded.json"
    path.write_text(json.dumps(spec))
    async with (
        running_desk() as (_, upstream),
        running_sidecar(
            upstream,
            mode="enforce",
            journal=f"sqlite://{folder}/j.db",
            descriptors=[A2A],
            specs=[path],
            route={"caller": "planner", "callee": "callee"},
            **{"loops": False, **more},
        ) as sidecar,
    ):
        await send(sidecar.address, *payloads, method=method)
    return folder / "j.db"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["replay", *map(str, arguments)])
    return result.exit_code, result.output


async def told(*arguments: object) -> Any:
    return json.loads((await asyncio.to_thread(run, *arguments, "--json"))[1])


FIVE = [asked("the same question", f"m-{number}") for number in range(5)]


async def test_the_same_specs_decide_the_same(tmp_path: Path):
    """Also of what was refused."""
    journal = await recorded(tmp_path, *FIVE, spec=NO_TWO)
    code, output = await asyncio.to_thread(run, journal, "-c", config_of(tmp_path, NO_TWO, loops=False))
    assert code == 0, output
    assert output.splitlines()[-1] == "5 exchanges replayed: nothing would be different"


async def test_a_new_rule_shows_what_it_would_refuse(tmp_path: Path):
    """Of requests, and of answers that are there."""
    journal = await recorded(tmp_path, *FIVE)
    config = config_of(tmp_path, NO_TWO, loops=False)
    code, output = await asyncio.to_thread(run, journal, "-c", config)
    assert code == 1
    assert "was forward, now reject REQUEST_SPEC_VIOLATION" in output
    assert "spec/request.rules.no-two: desk/v1: request breaks the rule no-two: never two" in output
    assert output.splitlines()[-1] == "5 exchanges replayed: 1 would be decided differently"
    found = await told(journal, "-c", config_of(tmp_path, NO_END, name="other", loops=False))
    assert [change["after"] for change in found["changes"]] == ["reject RESPONSE_SPEC_VIOLATION"] * 5
    assert found["new_findings"] == {"spec/response.rules.open": 5}


async def test_a_rule_that_is_gone_shows_what_it_refused(tmp_path: Path):
    journal = await recorded(tmp_path, *FIVE, spec=NO_TWO)
    found = await told(journal, "-c", config_of(tmp_path, KEPT, loops=False))
    (change,) = found["changes"]
    assert (change["before"], change["after"]) == ("reject REQUEST_SPEC_VIOLATION", "forward")
    assert (change["rule"], found["unanswered"]) == ("spec/request.rules.no-two", 1)


async def test_state_is_built_up_as_it_was(tmp_path: Path):
    """Loops and duplicates are found in the order and at the times of the records."""
    journal = await recorded(tmp_path, *FIVE, asked("the same question", "m-4"))
    loops = await told(journal, "-c", config_of(tmp_path, KEPT, loops={"repeats": 3}))
    assert [change["after"] for change in loops["changes"]] == ["reject LOOP_DETECTED"] * 3
    once = {**KEPT, "idempotency": {"key": "$.message.messageId", "retain": "1h"}}
    duplicates = await told(journal, "-c", config_of(tmp_path, once, name="once", loops=False))
    assert [change["after"] for change in duplicates["changes"]] == ["replay"]


async def test_money_is_counted_again(tmp_path: Path):
    """From the usage in the recorded answers: 1,234 micro-USD each."""
    journal = await recorded(tmp_path, *FIVE)
    budgets = [{"name": "all", "scope": "global", "limit_usd": 0.003, "hold_usd": 0.000001}]
    found = await told(journal, "-c", config_of(tmp_path, KEPT, loops=False, budgets=budgets, prices=PRICES))
    assert [change["after"] for change in found["changes"]] == ["reject BUDGET_EXHAUSTED"] * 2


async def test_rates_are_judged_at_the_recorded_times(tmp_path: Path):
    journal = await recorded(tmp_path, *FIVE)
    limits = {"limits": [{"callee": "callee", "rate": "1/h", "burst": 2}]}
    found = await told(journal, "-c", config_of(tmp_path, KEPT, loops=False, pressure=limits))
    assert [change["after"] for change in found["changes"]] == ["reject OVERLOADED"] * 3


async def test_without_content_it_judges_what_it_can_and_says_so(tmp_path: Path):
    """Rates need no documents; a rule on them is not judged, and not taken for kept."""
    plain = {"spec": "desk/v1", "match": {"callee": "callee"}}
    journal = await recorded(tmp_path, *FIVE, spec=plain)
    limits = {"limits": [{"callee": "callee", "rate": "1/h", "burst": 4}]}
    code, output = await asyncio.to_thread(
        run, journal, "-c", config_of(tmp_path, NO_TWO, loops=False, pressure=limits)
    )
    assert code == 1
    assert "5 exchanges without documents" in output
    assert output.splitlines()[-1] == "5 exchanges replayed: 1 would be decided differently"


async def test_streams_are_replayed(tmp_path: Path):
    journal = await recorded(tmp_path, asked(), method=STREAM)
    reader = SqliteReader(journal)
    messages = list(reader.entries(Filter(kinds=frozenset({Kind.MESSAGE}))))
    reader.close()
    assert len(messages) == 3
    code, output = await asyncio.to_thread(run, journal, "-c", config_of(tmp_path, KEPT, loops=False))
    assert code == 0, output


async def test_nothing_is_dialled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the configuration names: a shared store, verifiers, a journal of its own."""
    journal = await recorded(tmp_path, *FIVE)
    spec = {**KEPT, "verifiers": {"require": ["judge"], "quorum": 1}}
    config = config_of(
        tmp_path,
        spec,
        loops=False,
        store="redis://127.0.0.1:1/0",
        verifiers=[{"name": "judge", "address": "127.0.0.1:1", "fail": "closed"}],
        journal="sqlite:///nowhere/j.db",
    )
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("something was dialled")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    code, output = await asyncio.to_thread(run, journal, "-c", config)
    assert code == 0, output
    assert "verifiers were not asked" in output


async def test_an_export_is_replayed_like_the_journal(tmp_path: Path):
    journal = await recorded(tmp_path, *FIVE)
    out = tmp_path / "j.jsonl"
    assert CliRunner().invoke(main, ["journal", "export", str(journal), str(out)]).exit_code == 0
    assert len((await told(out, "-c", config_of(tmp_path, NO_TWO, loops=False)))["changes"]) == 1


# Against a test agent.


def conversation_in(journal: Path) -> str:
    reader = SqliteReader(journal)
    entry = reader.page(Filter(kinds=frozenset({Kind.STARTED}))).entries[0]
    reader.close()
    return entry.record.about.conversation


async def test_a_test_agent_that_answers_alike_is_the_same(tmp_path: Path):
    """Ids and times are other ones each time, and what is masked in the journal is masked before it is compared."""
    journal = await recorded(tmp_path, *FIVE)
    config = config_of(tmp_path, KEPT, loops=False)
    async with running_desk() as (desk, address):
        arguments = (journal, "-c", config, "--against", address, "--conversation", conversation_in(journal))
        code, output = await asyncio.to_thread(run, *arguments)
        assert (code, sum(desk.done.values())) == (0, 5), output
        assert output.splitlines()[-1] == "5 calls: 5 answered as recorded, 0 otherwise"
        desk.says = "something else"
        code, output = await asyncio.to_thread(run, *arguments, "--limit", "2")
        assert (code, sum(desk.done.values())) == (1, 7)
    assert '/task/artifacts/0/parts/0/text: "something else 6", and "a fine answer 1" was recorded' in output
    assert "note: 3 calls not sent (--limit)" in output


async def test_a_test_agent_that_is_away_or_hangs_is_told(tmp_path: Path):
    journal = await recorded(tmp_path, FIVE[0])
    arguments = [journal, "-c", config_of(tmp_path, KEPT, loops=False), "--conversation", conversation_in(journal)]
    code, output = await asyncio.to_thread(run, *arguments, "--against", "127.0.0.1:1", "--deadline", "2s")
    assert (code, "UNAVAILABLE, and OK was recorded" in output) == (1, True)
    async with running_desk(is_open=False) as (_, address):
        code, output = await asyncio.to_thread(run, *arguments, "--against", address, "--deadline", "500ms")
    assert (code, "DEADLINE_EXCEEDED, and OK was recorded" in output) == (1, True)


async def test_without_documents_nothing_can_be_sent(tmp_path: Path):
    plain = {"spec": "desk/v1", "match": {"callee": "callee"}}
    journal = await recorded(tmp_path, FIVE[0], spec=plain)
    config = config_of(tmp_path, KEPT, loops=False)
    async with running_desk() as (desk, address):
        arguments = (journal, "-c", config, "--against", address, "--conversation", conversation_in(journal))
        code, output = await asyncio.to_thread(run, *arguments)
        assert not desk.done
    assert (code, "kept no document" in output) == (1, True)


MISTAKES: dict[str, tuple[list[str], str]] = {
    "an agent that is at work": (["--against", "127.0.0.1:50052"], "routes[0].upstream"),
    "our own listener": (["--against", "localhost:50051"], "routes[0].listen"),
    "no address": (["--against", "nonsense"], "--against"),
    "no conversation": (["--against", "127.0.0.1:9"], "--conversation"),
    "no deadline": (["--against", "127.0.0.1:9", "--conversation", "{c}", "--deadline", "soon"], "--deadline"),
    "nothing in it": (["--conversation", "none"], "no exchange"),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("one")
    yield asyncio.run(recorded(folder, FIVE[0])), config_of(folder, KEPT)


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_of_the_operators_is_told(one: tuple[Path, Path], what: str):
    journal, config = one
    arguments, said = MISTAKES[what]
    conversation = conversation_in(journal)
    if "--conversation" not in arguments and what != "no conversation":
        arguments = [*arguments, "--conversation", conversation]
    code, output = run(journal, "-c", config, *(each.format(c=conversation) for each in arguments))
    assert (code, said in output) == (64, True), output


async def test_of_more_than_asked_for_nothing_is_kept(tmp_path: Path):
    """A running sidecar replays beside its calls: what it holds of a long journal is bounded."""
    reader = SqliteReader(await recorded(tmp_path, *FIVE))
    exchanges, steps, strays = recorded_exchanges(reader.entries(Filter()), most=2)
    reader.close()
    assert len(exchanges) == 2
    assert {exchange for exchange, _, _ in steps} == set(exchanges)
    assert strays > 0
