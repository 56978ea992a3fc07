"""The person who never tires, in front of the demo's agents with no sidecar anywhere."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from examples.agents import planner, researcher, teller, writer
from examples.agents.traffic import Asker, Settings, Tally, converse, is_unreached, read_settings, serve_health
from tests.test_demo_agents import running

NOBODY = "127.0.0.1:1"


@pytest.fixture
async def everybody() -> AsyncIterator[Settings]:
    async with AsyncExitStack() as stack:
        research, _ = await stack.enter_async_context(running("researcher", researcher.build))
        write, _ = await stack.enter_async_context(running("writer", writer.build))
        plan, _ = await stack.enter_async_context(running("planner", planner.build, researcher=research, writer=write))
        tell, _ = await stack.enter_async_context(running("teller", teller.build))
        yield Settings(plan, write, tell, every_s=0.001, trouble=0.0, listen="")


async def asked(settings: Settings, count: int) -> Tally:
    """What has become of the first `count` questions."""
    tally = Tally()
    talk = asyncio.create_task(converse(Asker(settings), tally, settings.every_s))
    async with asyncio.timeout(30.0):
        while tally.answered + tally.refused < count:
            await asyncio.sleep(0.005)
    talk.cancel()
    await asyncio.gather(talk, return_exceptions=True)
    return tally


async def test_everybody_is_asked_and_answers(everybody: Settings):
    """Nothing is refused where nothing is wrong and nobody checks."""
    tally = await asked(everybody, 12)
    assert (tally.answered >= 12, tally.refused, tally.is_reached) == (True, 0, True)


async def test_trouble_is_trouble_for_a_check_and_none_for_the_agents(everybody: Settings):
    """Broken facts, invented figures, doubled payments: agents alone notice none of it."""
    tally = await asked(replace(everybody, trouble=1.0), 6)
    assert (tally.refused, tally.is_reached) == (0, True)


async def test_only_who_is_named_is_asked(everybody: Settings):
    """An address that is left out is not dialled."""
    tally = await asked(replace(everybody, planner="", writer=""), 4)
    assert tally.refused == 0


async def test_nobody_there_is_told_from_a_refusal():
    """The container counts as healthy while it gets answers, and a refusal is one."""
    tally = await asked(Settings("", "", NOBODY, 0.001, 0.0, ""), 1)
    assert (tally.answered, tally.refused >= 1, tally.is_reached) == (0, True, False)
    assert not is_unreached(RuntimeError("gRPC Error FAILED_PRECONDITION: VERDICT_FAILED"))


async def test_its_page_says_whether_the_last_question_got_an_answer(unused_tcp_port: int):
    """503 until the first answer, 200 with the figures after it."""
    tally, url = Tally(), f"http://127.0.0.1:{unused_tcp_port}/healthz"
    server = serve_health(f"127.0.0.1:{unused_tcp_port}", tally)
    with pytest.raises(urllib.error.HTTPError, match="503") as caught:
        await asyncio.to_thread(urllib.request.urlopen, url)
    caught.value.close()
    tally.asked, tally.answered, tally.is_reached = 3, 3, True
    assert b"answered 3" in await asyncio.to_thread(fetched, url)
    await asyncio.to_thread(server.shutdown)
    server.server_close()


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def test_flags_win_over_variables():
    """The compose file sets variables; a person at a terminal says otherwise."""
    environ = {"TRAFFIC_PLANNER": "planner:1", "TRAFFIC_EVERY_S": "7", "TRAFFIC_TROUBLE": ""}
    settings = read_settings(["--every-s", "2"], environ)
    assert (settings.planner, settings.every_s, settings.trouble) == ("planner:1", 2.0, 0.05)


@pytest.mark.parametrize(
    "arguments", [[], ["--planner", "a:1", "--every-s", "0"], ["--planner", "a:1", "--trouble", "2"]]
)
def test_what_makes_no_sense_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    """argparse's own code, and what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        read_settings(arguments, {})
    assert "error" in capsys.readouterr().err
