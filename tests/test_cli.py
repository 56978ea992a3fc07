"""The command line as a person meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli import main

GOOD = """
agent: writer
routes: [{listen: "127.0.0.1:0", upstream: "127.0.0.1:50052"}]
specs: [specs]
"""
SPEC = """
spec: writer/v1
match: {callee: writer}
request: {schema: {type: object}}
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main.main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sidecar.yaml").write_text(GOOD)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "writer.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_describes_what_would_run(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Agent, mode, routes and specs, readable in 80 columns."""
    assert run("check", "-c", "sidecar.yaml") == 0
    said = capsys.readouterr().out
    for word in ("writer", "observe", "127.0.0.1:50052", "writer/v1", "ok"):
        assert word in said


def test_check_says_every_mistake_of_configuration_at_once(folder: Path, capsys: pytest.CaptureFixture[str]):
    """Each with its place, what was found, what is allowed."""
    (folder / "sidecar.yaml").write_text("agent: writer\nmode: strict\nroute: []\nroutes: [{listen: x, upstream: y}]\n")
    assert run("check", "-c", "sidecar.yaml") == 64
    said = capsys.readouterr().err
    for place in ("sidecar.yaml:2 mode", "sidecar.yaml:3 route", "routes[0].listen", "routes[0].upstream"):
        assert place in said
    assert said.count("found") == said.count("allowed") == 4


def test_check_says_the_mistakes_of_specs(folder: Path, capsys: pytest.CaptureFixture[str]):
    """A broken contract is found before anything runs."""
    (folder / "specs" / "writer.yaml").write_text(SPEC.replace("type: object", "type: objekt"))
    assert run("check", "-c", "sidecar.yaml") == 64
    assert "writer.yaml" in capsys.readouterr().err


def test_check_says_which_verifier_nobody_configured(folder: Path, capsys: pytest.CaptureFixture[str]):
    """The start would refuse it, so the check does."""
    (folder / "specs" / "writer.yaml").write_text(f"{SPEC}verifiers: {{require: [ghost]}}\n")
    assert run("check", "-c", "sidecar.yaml") == 64
    said = capsys.readouterr().err
    assert "verifiers.require[0]" in said
    assert "the verifiers configured: none yet" in said


def test_prices_says_what_a_model_costs(folder: Path, capsys: pytest.CaptureFixture[str]):
    """By the list, and by prices of one's own."""
    assert run("prices", "gpt-4o") == 0
    assert capsys.readouterr().out.splitlines()[0] == "input       2.5"
    own = (
        "prices: {models: [{name: house, input_usd_per_mtok: 3, output_usd_per_mtok: 15, cache_read_usd_per_mtok: 1}]}"
    )
    (folder / "sidecar.yaml").write_text(GOOD + own)
    assert run("prices", "house", "-c", "sidecar.yaml") == 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["input       3", "cache read  1", "cache write 3", "output      15"]
    assert run("prices", "unheard-of") == 1
    assert "has no price" in capsys.readouterr().out


def test_check_reads_the_price_list_and_shows_budgets(folder: Path, capsys: pytest.CaptureFixture[str]):
    """What would run, and what cannot."""
    budgets = "budgets: [{name: b, scope: agent, limit_usd: 0.005, window: day}]\n"
    (folder / "sidecar.yaml").write_text(GOOD + budgets)
    assert run("check", "-c", "sidecar.yaml") == 0
    assert "budgets     b  0.005 USD an agent each day, mode of the root" in capsys.readouterr().out
    (folder / "prices.json").write_text("{}")
    (folder / "sidecar.yaml").write_text(GOOD + "prices: {file: prices.json}\n")
    assert run("check", "-c", "sidecar.yaml") == 64
    assert "genai-prices publishes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "say -c FILE, or all of --agent, --listen and --upstream"),
        (["run", "--agent", "a", "--listen", ":1"], "--upstream"),
        (["check", "-c", "sidecar.yaml", "--agent", "a"], "--agent cannot be used together with --config"),
        (["check", "-c", "missing.yaml"], "missing.yaml"),
        (["check", "--agent", "a", "--listen", "nowhere", "--upstream", ":1"], "--listen"),
        (["serve"], "serve"),
        (["run", "--mode", "strict"], "strict"),
        (["verifier", "check", "nowhere"], "host:port"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Exit code 64, as for every mistake of the operator's."""
    assert run(*arguments) == 64
    assert said in capsys.readouterr().err


def test_a_verifier_that_nobody_serves_keeps_no_promise(capsys: pytest.CaptureFixture[str]):
    """The address is right and nobody answers: that is the verifier's fault, not the command line's."""
    assert run("verifier", "check", "127.0.0.1:1", "--timeout", "2") == 1
    assert "0 of 1 claims hold" in capsys.readouterr().out


def test_version_and_help_are_there(capsys: pytest.CaptureFixture[str]):
    """The first two things that anybody asks."""
    assert run("--version") == 0
    assert run("run", "--help") == 0
    assert "SIGTERM" in capsys.readouterr().out
