"""Every command against a real sidecar process, as an operator types it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from sidecar.cli import main
from tests.process.programs import Program, agent, eventually

ECHO = "/t.Agent/Echo"
TOKEN = "an-operators-token-0123456789"
SPEC = """
spec: worker/v1
match: {callee: worker, method: /t.Agent/Echo}
request: {schema: {type: object, required: [question]}}
"""


@dataclass
class Desk:
    """A running sidecar, and a terminal before it."""

    admin: str
    port: int
    folder: Path
    read: Callable[[], tuple[str, str]]

    def ask(self, question: str, conversation: str = "c" * 32) -> str:
        """One call; the reason of its refusal, or nothing."""
        traceparent = ("traceparent", f"00-{conversation}-00f067aa0ba902b7-01")
        payload = json.dumps({"question": question}).encode()
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            try:
                channel.unary_unary(ECHO)(payload, metadata=(traceparent,), timeout=20)
            except grpc.RpcError as error:
                return str(dict(error.trailing_metadata()).get("sidecar-reply", error.code().name))
        return ""

    def type(self, *words: str, exit_code: int = 0) -> str:
        """What a command prints; what it complains of where it ends otherwise than well."""
        with pytest.raises(SystemExit) as ended:
            main.main([*words, "--address", self.admin])
        out, err = self.read()
        assert (ended.value.code or 0) == exit_code, out + err
        return out if exit_code in (0, 1) and out else err

    def json(self, *words: str, exit_code: int = 0) -> Any:
        return json.loads(self.type(*words, "--json", exit_code=exit_code))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Path]]:
    folder = tmp_path_factory.mktemp("operator")
    (folder / "token").write_text(TOKEN)
    (folder / "specs").mkdir()
    (folder / "specs" / "worker.yaml").write_text(SPEC)
    with agent() as (_, upstream):
        tree = {
            "agent": "worker",
            "mode": "enforce",
            "routes": [
                {"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}", "caller": "planner", "callee": "worker"}
            ],
            "specs": ["specs"],
            "store": "sqlite:state.db",
            "journal": "sqlite:journal.db",
            "loops": {"repeats": 2, "mode": "enforce", "slow": "0s"},
            "budgets": [{"name": "all", "scope": "global", "limit_usd": 2.00, "hold_usd": 0.01}],
            "metrics": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0", "tokens": [{"name": "ops", "role": "operate", "secret_file": "token"}]},
            "tracing": {"exporter": "none"},
        }
        (folder / "sidecar.yaml").write_text(yaml.safe_dump(tree))
        program = Program("-m", "sidecar", "run", "-c", str(folder / "sidecar.yaml"))
        try:
            port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
            admin = program.read_until(r"admin +(?:service )?(?:on )?(127\.0\.0\.1:\d+)")
            program.read_until("^ready")
            yield admin, port, folder
        finally:
            program.close()


@pytest.fixture
def desk(running: tuple[str, int, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    admin, port, folder = running
    monkeypatch.setenv("SIDECAR_ADMIN_TOKEN", TOKEN)
    monkeypatch.setenv("COLUMNS", "100")

    def read() -> tuple[str, str]:
        said = capsys.readouterr()
        return said.out, said.err

    return Desk(admin, port, folder, read)


def test_status_says_what_runs_and_who_asks(desk: Desk):
    said = desk.type("status")
    for word in ("worker", "enforce", "serves", "sqlite", "operate", "inbound"):
        assert word in said
    assert desk.json("status")["agent"] == "worker"


def test_the_configuration_is_shown_without_its_secrets(desk: Desk):
    said = desk.type("config")
    assert json.loads(said)["agent"] == "worker"
    assert TOKEN not in said


def test_agents_edges_and_a_conversation_show_a_call(desk: Desk):
    desk.ask("who built the bridge?", "1" * 32)
    assert "planner" in desk.type("agents")
    assert "planner → worker" in desk.type("edges")
    assert eventually(lambda: "1" * 32 in desk.type("conversations"))
    tree = desk.type("conversation", "1" * 32)
    assert "planner → worker Echo  OK" in tree
    [entry] = desk.json("conversation", "1" * 32)["timeline"]
    assert (entry["edge"]["method"], entry["code"]) == (ECHO, "OK")


def test_a_conversation_that_nobody_saw_is_said_to_be_none(desk: Desk):
    assert "nowhere was not seen" in desk.type("conversation", "nowhere", exit_code=1)


def test_a_loop_is_listed_and_goes_on_when_told_to(desk: Desk):
    conversation = "2" * 32
    said = [desk.ask("again?", conversation) for _ in range(3)]
    assert said == ["", "", "LOOP_DETECTED"]
    [loop] = desk.json("loops", "--conversation", conversation)["loops"]
    assert loop["kind"] in desk.type("loops")
    assert "goes on" in desk.type("loops", "resume", loop["id"], "--because", "the question was mended")
    assert desk.json("loops", "--conversation", conversation)["loops"] == []
    assert desk.ask("again?", conversation) == ""


@pytest.mark.parametrize(
    ("words", "conversation"),
    [
        (("agent", "planner"), "3" * 32),
        (("edge", "planner", "worker", ECHO), "4" * 32),
        (("conversation", "5" * 32), "5" * 32),
    ],
    ids=["agent", "edge", "conversation"],
)
def test_what_is_held_back_is_refused_until_it_is_let_go(desk: Desk, words: tuple[str, ...], conversation: str):
    assert desk.ask(f"before {words}", conversation) == ""
    assert "is held back" in desk.type("quarantine", *words, "--because", "it misbehaves", "--for", "10m")
    assert eventually(lambda: desk.ask(f"held {words}", conversation) == "QUARANTINED")
    assert "it misbehaves" in desk.type("quarantine")
    assert "is let go" in desk.type("release", *words, "--because", "it is mended")
    assert eventually(lambda: desk.ask(f"after {time.monotonic()}", conversation) == "")
    assert desk.type("quarantine").strip() == "Nothing is held back."


def test_a_task_can_be_held_back_and_let_go(desk: Desk):
    desk.type("quarantine", "task", "worker", "t-1", "--because", "nothing comes of it")
    assert "t-1 of worker" in desk.type("quarantine")
    desk.type("release", "task", "worker", "t-1", "--because", "it is done")


def test_budgets_are_listed_changed_and_restored(desk: Desk):
    desk.ask("what does it cost?", "6" * 32)
    assert "$2.00" in desk.type("budgets")
    assert "$3.50" in desk.type("budgets", "set", "all", "3.50", "--because", "a demonstration")
    assert desk.json("budgets")["budgets"][0]["is_changed"]
    assert "$2.00" in desk.type("budgets", "restore", "all", "--because", "it is over")
    assert "forgotten" in desk.type("budgets", "reset", "all", "--shared", "--because", "a new day")


def test_a_reset_never_guesses_whose(desk: Desk):
    assert "never guessed" in desk.type("budgets", "reset", "all", "--because", "x", exit_code=64)


def test_an_amount_that_is_none_is_refused_before_it_is_sent(desk: Desk):
    assert "found 'much'" in desk.type("budgets", "set", "all", "much", "--because", "x", exit_code=64)


def test_specs_are_listed_matched_put_and_taken_back(desk: Desk):
    assert "worker/v1" in desk.type("specs")
    assert "question" in desk.type("specs", "show", "worker/v1")
    assert "worker/v1" in desk.type("specs", "match", "planner", "worker", ECHO)
    assert "No spec" in desk.type("specs", "match", "planner", "worker", "/t.Agent/Other", exit_code=1)
    stricter = desk.folder / "stricter.yaml"
    stricter.write_text(SPEC.replace("[question]", "[question, why]"))
    assert "could be put" in desk.type("specs", "validate", str(stricter))
    assert "is in force" in desk.type("specs", "put", str(stricter), "--because", "a why is needed")
    assert eventually(lambda: desk.ask("without a why", "7" * 32) == "REQUEST_SPEC_VIOLATION")
    assert "taken back" in desk.type("specs", "delete", "worker/v1", "--because", "too strict")
    assert eventually(lambda: desk.ask(f"without a why {time.monotonic()}", "7" * 32) == "")


def test_every_mistake_of_a_spec_is_said(desk: Desk):
    broken = desk.folder / "broken.yaml"
    broken.write_text(SPEC.replace("request:", "requst:").replace("callee", "calle"))
    said = desk.type("specs", "validate", str(broken), exit_code=1)
    assert said.count("allowed") >= 2


def test_a_mode_is_changed_from_the_next_call_on_and_taken_back(desk: Desk):
    bad = desk.folder / "x"
    assert bad.name
    assert desk.type("modes", "set", "spec", "worker/v1", "observe", "--because", "a trial")
    with grpc.insecure_channel(f"127.0.0.1:{desk.port}") as channel:
        assert eventually(lambda: passes(channel))
    assert "a trial" in desk.type("modes")
    assert "observe" in desk.type("status")
    desk.type("modes", "clear", "spec", "worker/v1", "--because", "it is over")


def passes(channel: grpc.Channel) -> bool:
    try:
        return bool(channel.unary_unary(ECHO)(b'{"no": 1}', timeout=20))
    except grpc.RpcError:
        return False


def test_verifiers_tasks_and_exchanges_may_be_none(desk: Desk):
    assert "No verifier" in desk.type("verifiers")
    assert "No task" in desk.type("tasks", "--stuck")
    assert "No exchange is open" in desk.type("exchanges", "--older-than", "5s")


def test_tail_shows_what_happens_as_it_happens(desk: Desk):
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    words = ["tail", "--json", "--limit", "2", "--kind", "exchange-started", "--kind", "exchange-ended"]
    tail = subprocess.Popen(
        [sys.executable, "-m", "sidecar", *words, "--address", desk.admin],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        assert eventually(lambda: asked_until(desk, tail), 30)
        out, _ = tail.communicate(timeout=20)
    finally:
        tail.kill()
    events = [json.loads(line) for line in out.splitlines()]
    assert len(events) == 2
    assert {event["subject"]["edge"]["callee"] for event in events} == {"worker"}
    assert tail.returncode == 0


def asked_until(desk: Desk, tail: subprocess.Popen[str]) -> bool:
    desk.ask(f"now? {time.monotonic()}", "8" * 32)
    time.sleep(0.2)
    return tail.poll() is not None


def test_top_is_live_in_a_terminal_and_leaves_it_as_it_was(desk: Desk):
    """Drawn again and again, sorted anew at a key, ended by q."""
    desk.ask("busy?", "9" * 32)
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    top = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "top", "--interval", "200ms", "--address", desk.admin],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environ,
    )
    os.close(theirs)
    try:
        assert "by rate" in read_until(ours, "by rate")
        os.write(ours, b"c")
        assert "by cost" in read_until(ours, "by cost")
        os.write(ours, b"q")
        read_until(ours, "\x1b[?1049l")
        assert top.wait(20) == 0
    finally:
        top.kill()
        os.close(ours)


def read_until(descriptor: int, mark: str, limit_s: float = 30.0) -> str:
    shown, until_s = "", time.monotonic() + limit_s
    while mark not in shown and time.monotonic() < until_s:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                shown += os.read(descriptor, 65536).decode(errors="replace")
            except OSError:
                break  # the other side is gone
    return shown


def test_top_prints_one_look_where_nobody_watches(desk: Desk):
    assert "planner → worker" in desk.type("top", "--once")


def test_without_the_token_nothing_can_be_changed_and_it_is_said_how_it_could(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Looking is allowed on loopback."""
    monkeypatch.delenv("SIDECAR_ADMIN_TOKEN")
    assert "worker" in desk.type("status")
    said = desk.type("quarantine", "agent", "planner", "--because", "mischief", exit_code=77)
    assert "operate" in said
    assert "SIDECAR_ADMIN_TOKEN" in said


def test_a_wrong_token_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIDECAR_ADMIN_TOKEN", "not-the-token-0123456789")
    desk.type("status", exit_code=77)


def test_a_token_comes_from_a_file_and_never_from_the_command_line(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SIDECAR_ADMIN_TOKEN")
    assert "operate" in desk.type("status", "--token-file", str(desk.folder / "token"))
    assert not re.search(r"--token[ =]", desk.type("status", "--help"))


def test_options_may_stand_before_the_second_word(desk: Desk):
    with pytest.raises(SystemExit) as ended:
        main.main(["budgets", "--address", desk.admin, "--json", "set", "all", "2.50", "--because", "x"])
    assert not ended.value.code
    assert json.loads(desk.read()[0])["budget"]["name"] == "all"
    desk.type("budgets", "restore", "all", "--because", "x")


def test_where_nobody_answers_it_is_said_what_to_do(desk: Desk):
    with pytest.raises(SystemExit) as ended:
        main.main(["status", "--address", "127.0.0.1:1", "--timeout", "5s"])
    assert ended.value.code == 69
    assert "--address" in desk.read()[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(desk: Desk, shell: str):
    with pytest.raises(SystemExit):
        main.main(["completion", shell])
    assert "_SIDECAR_COMPLETE" in desk.read()[0]
