"""Queries: the database answers as a plain look through all records would, a page at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.cli import main
from sidecar.telemetry.journal import About, Filter, Kind, LinesReader, Reader, Record, SqliteReader
from sidecar.testing import ManualClock
from tests.journal.desk import sqlite, written

AGENTS = ("a", "b", "c")
BEGIN_MS = 1_700_000_000_000


def story(number: int) -> Record:
    """Ten records a second; kinds, agents, conversations and rules all differ in another rhythm."""
    kind = (Kind.STARTED, Kind.MESSAGE, Kind.ENDED, Kind.FINDING, Kind.DECISION, Kind.CHARGE, Kind.ADMIN)[number % 7]
    about = About(
        exchange_id=f"e-{number // 5}",
        conversation=f"c-{number // 15}",
        caller=AGENTS[number % 3],
        callee=AGENTS[number // 2 % 3],
    )
    body: dict[str, object] = {}
    if kind in (Kind.FINDING, Kind.DECISION):
        body |= {"check": ("loop", "spec")[number % 2], "rule": ("repeat", "cycle")[number // 3 % 2]}
    if kind in (Kind.ENDED, Kind.DECISION):
        body["decision"] = ("forward", "reject", "replay")[number % 3]
    return Record(kind, (BEGIN_MS + number * 100) << 16, (BEGIN_MS + number * 100) * 10**6, about, "", body)


ALL = [story(number) for number in range(300)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("journal") / "j.db"
    sink = sqlite(found, ManualClock(BEGIN_MS / 1000 - 1))  # its own record comes before all others
    sink.write(ALL)
    sink._release()
    return found


@pytest.fixture(scope="module")
def lines(path: Path) -> Path:
    out = path.with_name("j.jsonl")
    assert CliRunner().invoke(main, ["journal", "export", str(path), str(out)]).exit_code == 0
    return out


FILTERS = st.builds(
    Filter,
    since_ms=st.none() | st.integers(BEGIN_MS - 500, BEGIN_MS + 30_500),
    until_ms=st.none() | st.integers(BEGIN_MS - 500, BEGIN_MS + 30_500),
    agent=st.sampled_from(["", *AGENTS, "nobody"]),
    caller=st.sampled_from(["", "", "a"]),
    callee=st.sampled_from(["", "", "b"]),
    conversation=st.sampled_from(["", "", "c-3", "c-18", "c-none"]),
    exchange_id=st.sampled_from(["", "", "", "e-8", "e-59"]),
    kinds=st.frozensets(st.sampled_from(list(Kind)), max_size=3),
    rule=st.sampled_from(["", "", "loop", "spec/cycle", "loop/repeat", "loo"]),
    decision=st.sampled_from(["", "", "forward", "reject"]),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=FILTERS, limit=st.integers(1, 40), newest_first=st.booleans())
def test_every_query_finds_what_a_look_through_all_records_finds(
    path: Path, wanted: Filter, limit: int, newest_first: bool
):
    """With every index and without any, whole and in pages."""
    expected = [record.hlc for record in ALL if wanted.wants(record)]
    reader = SqliteReader(path)
    try:
        assert paged(reader, wanted, limit, newest_first) == (expected[::-1] if newest_first else expected)
    finally:
        reader.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=FILTERS, limit=st.integers(20, 400), newest_first=st.booleans())
def test_exported_lines_answer_as_the_database_does(lines: Path, wanted: Filter, limit: int, newest_first: bool):
    expected = [record.hlc for record in ALL if wanted.wants(record)]
    assert paged(LinesReader(lines), wanted, limit, newest_first) == (expected[::-1] if newest_first else expected)


def paged(reader: Reader, wanted: Filter, limit: int, newest_first: bool) -> list[int]:
    found: list[int] = []
    after: int | None = None
    while True:
        page = reader.page(wanted, after=after, limit=limit, newest_first=newest_first)
        assert len(page.entries) <= limit
        found += [entry.record.hlc for entry in page.entries if entry.record.kind is not Kind.OPENED]
        if page.next_after is None:
            return found
        after = page.next_after


def test_an_export_is_a_chain_by_itself(lines: Path):
    assert LinesReader(lines).verify().is_whole


# The command line.


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["journal", *arguments])
    return result.exit_code, result.output


def test_a_query_is_a_table_and_says_how_to_go_on(path: Path):
    code, output = run("query", str(path), "--kind", "started", "--limit", "2")
    rows = output.splitlines()
    assert code == 0
    assert rows[0].split() == ["place", "time", "(UTC)", "kind", "edge", "what"]
    assert "a → a" in rows[1]
    assert rows[-1] == f"more: --after {rows[-2].split()[0]}"


def test_a_query_is_json_for_scripts(path: Path):
    code, output = run("query", str(path), "--finding", "loop/repeat", "--json", "--limit", "1")
    assert code == 0
    assert json.loads(output.splitlines()[0])["record"]["body"]["rule"] == "repeat"


def test_times_are_given_as_moments_or_ages(path: Path):
    assert run("query", str(path), "--since", "2023-11-14T22:13:49Z")[1].count("\n") == 11
    assert run("query", str(path), "--since", "1h")[1] == "no records\n"


def test_verify_says_what_is_wrong_and_fails(tmp_path: Path):
    path = tmp_path / "j.db"
    written(path, {})
    code, output = run("verify", str(path))
    assert (code, output.splitlines()[-1]) == (0, "whole: nothing was changed, removed or moved")
    head = output.splitlines()[-2].rpartition(" ")[2]
    assert run("verify", str(path), "--head", head)[0] == 0
    assert run("verify", str(path), "--head", head[:-1] + ("0" if head[-1] != "0" else "1"))[0] == 1
    out = tmp_path / "j.jsonl"
    run("export", str(path), str(out))
    out.write_bytes(out.read_bytes().replace(b'"size_bytes":100', b'"size_bytes":999', 1))
    code, output = run("verify", str(out), "--json")
    assert code == 1
    assert [(each["seq"], each["what"]) for each in json.loads(output)["breaks"]] == [(3, "changed")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "nowhere.db"], "no such file"),
        (["query", "{path}", "--since", "yesterday"], "--since"),
        (["verify", "{path}", "--head", "7"], "--head"),
        (["export", "{path}", "{path}"], "not there yet"),
    ],
)
def test_a_mistake_of_the_operators_is_told(path: Path, arguments: list[str], said: str):
    code, output = run(*(argument.format(path=path) for argument in arguments))
    assert code == 64
    assert said in output
