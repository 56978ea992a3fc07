"""What of the live proof can be held without running it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.check import Result
from tests.e2e.boards import linked
from tests.e2e.faults import FAULTS, unregistered
from tests.e2e.life import Life, troubles_with
from tests.e2e.monitoring import divided, quick_routes, seconds_in
from tests.e2e.phases import Seen
from tests.e2e.progress import ROOT
from tests.e2e.report import mistakes
from tests.e2e.slow_line import SlowLine
from tests.e2e.template import AlertRule, alerts_in
from tests.e2e.traffic import Served
from tests.e2e.webhook import deliveries_in

RULES = alerts_in(sorted((ROOT / "dashboards" / "rules").glob("*.yml")))


def test_each_rule_is_shown_by_exactly_one_fault():
    """An alert that nobody ever saw fire may as well not be there."""
    assert RULES
    assert unregistered(RULES) == []


def test_a_new_rule_without_a_fault_is_noticed():
    """The check above could not fail otherwise."""
    assert unregistered([*RULES, AlertRule("SidecarNew", {}, 0.0)]) == [
        "SidecarNew {} is shown by 0 faults; it must be one"
    ]


def test_a_fault_whose_alert_is_gone_is_noticed():
    """So is a rule that was renamed."""
    rest = [rule for rule in RULES if rule.name != "SidecarHerd"]
    assert unregistered(rest) == [
        "twelve callers that retry in the same instant is to show SidecarHerd {}, and there is no such rule"
    ]


@pytest.mark.parametrize(
    ("text", "expected_s"), [("0s", 0), ("90s", 90), ("1h30m", 5400), ("2500ms", 2.5), ("3d", 259_200)]
)
def test_durations_are_read_as_prometheus_writes_them(text: str, expected_s: float):
    """`ms` is one unit, not minutes and seconds."""
    assert seconds_in(text) == expected_s


def test_routes_keep_all_but_their_times_and_receivers():
    """What inhibits what and who is told are the shipped ones; waits are divided, and never below a second."""
    shipped = {
        "route": {"receiver": "a", "group_wait": "4m", "routes": [{"receiver": "b", "group_wait": "10s"}]},
        "receivers": [{"name": "a", "email_configs": []}, {"name": "b"}],
        "inhibit_rules": ["as they are"],
    }
    quick = quick_routes(shipped, 120, "http://127.0.0.1:1/")
    assert quick["inhibit_rules"] == ["as they are"]
    assert quick["route"] == {
        "receiver": "a",
        "group_wait": "2000ms",
        "routes": [{"receiver": "b", "group_wait": "1000ms"}],
    }
    told = [{"url": "http://127.0.0.1:1/", "send_resolved": True}]
    assert quick["receivers"] == [{"name": "a", "webhook_configs": told}, {"name": "b", "webhook_configs": told}]
    assert divided("30s", 1) == "30000ms"


def delivered(**annotations: str):
    alert = {"status": "firing", "labels": {"alertname": "A", "callee": "b"}, "annotations": annotations}
    [delivery] = deliveries_in({"receiver": "pager", "alerts": [alert]})
    return delivery


def test_a_notification_must_be_readable():
    """A template that was not filled in reaches whoever is woken up."""
    whole = {"summary": "A.", "description": "b did 3.", "runbook_url": "https://example.com"}
    assert troubles_with(delivered(**whole)) == []
    assert troubles_with(delivered(**whole | {"summary": ""})) == ["has no summary"]
    assert troubles_with(delivered(**whole | {"description": "<no value> did NaN"})) != []


def test_a_run_proves_nothing_where_something_is_missing():
    """Each of these alone makes `make e2e` fail."""
    well = Seen(served=Served(count=1), took_s=10)
    assert mistakes(well, well, [], []) == []
    assert mistakes(well, Seen(took_s=10), [], []) == ["in the healthy run nobody called"]
    assert mistakes(well, Seen(served=Served(1, ["INTERNAL"]), took_s=10), [], [])
    assert mistakes(well, well, ["A {} is shown by 0 faults"], [])
    assert mistakes(Seen(strays=["A firing {}"], took_s=10), well, [], [])
    assert mistakes(well, Seen(served=Served(1), strays=["A firing {}"], took_s=10), [], [])
    assert mistakes(well, Seen(served=Served(1), took_s=9), [], [])
    life = Life("A", {}, waits=False, troubles=["did not fire"])
    assert mistakes(Seen(lives=[(FAULTS[0], life)], took_s=10), well, [], [])


def test_an_exemplar_that_leads_nowhere_is_no_data():
    """Grafana would open an empty page."""
    found = Result("Fleet", "exemplars of Latency", "q", series=3, last="abc")
    assert linked(found, {"abc"}) == found
    assert not linked(found, {"other"}).has_data
    assert linked(replace(found, panel="Latency"), set()).has_data


async def test_a_slow_line_delays_and_loses_nothing(tmp_path: Path):
    """What goes in comes out at the other end, in order; what is under way does not wait for what went before."""

    is_over = asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()
        is_over.set()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with SlowLine(f"127.0.0.1:{port}") as line:
        line.delay_s = 0.2
        host, _, own = line.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(own))
        began_s = time.monotonic()
        for number in range(10):
            writer.write(f"{number} ".encode())
            await asyncio.sleep(0.01)
        assert await reader.readexactly(20) == b"0 1 2 3 4 5 6 7 8 9 "
        assert time.monotonic() - began_s >= 0.2
        writer.close()
        await writer.wait_closed()
        await is_over.wait()
    server.close()
