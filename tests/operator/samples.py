"""What a busy sidecar would answer, for looking at how it is shown."""

from __future__ import annotations

import time

from sidecar.v1 import admin_pb2 as api
from sidecar.v1.common_pb2 import Edge, Lineage

NOW_MS = int(time.time() * 1000)
SEND = "/lf.a2a.v1.A2AService/SendMessage"
HOSTILE = "evil\x1b[2J\x1b]0;owned\x07[bold red]\u202ename"
"""Clears the screen, sets the title, looks like markup and turns the direction of writing."""


def edge(caller: str = "planner", callee: str = "researcher", method: str = SEND) -> Edge:
    return Edge(caller=caller, callee=callee, method=method)


def summary(caller: str = "planner", callee: str = "researcher", **total: int) -> api.EdgeSummary:
    return api.EdgeSummary(
        edge=edge(caller, callee),
        side="inbound",
        total=api.Traffic(exchanges=12_345, errors=12, refused=3, findings=20, cost_micro_usd=1_500_000, **total),
        recent=api.Recent(window_s=60, exchanges=600, errors=6, refused=1, rate_per_s=10.2, median_s=0.012, p95_s=0.34),
        last_seen_unix_ms=NOW_MS,
        spec="researcher/v1",
    )


def status(**said: object) -> api.Status:
    found = api.Status(
        version="0.1.0",
        agent="researcher",
        mode="enforce",
        started_unix_ms=NOW_MS - 7_500_000,
        uptime_s=7500,
        is_ready=True,
        routes=[
            api.RouteStatus(
                name="inbound",
                listen="0.0.0.0:50051",
                upstream="127.0.0.1:50052",
                caller="_unknown",
                callee="researcher",
                side="inbound",
                mode="enforce",
            )
        ],
        store=api.StoreStatus(kind="redis", revision=7),
        open_exchanges=3,
        oldest_exchange_s=4.2,
        you="loopback",
        role=api.ROLE_READ,
    )
    found.MergeFrom(api.Status(**said))  # type: ignore[arg-type]
    return found


def conversation() -> api.Conversation:
    spans = [f"{number:016x}" for number in range(1, 6)]

    def entry(number: int, parent: str, caller: str, callee: str, **said: object) -> api.TimelineEntry:
        whole = {"code": "OK", "decision": "forward", "side": "inbound", "joined_by": "ids", "duration_s": 0.5, **said}
        return api.TimelineEntry(
            exchange_id=f"x{number}",
            edge=edge(caller, callee),
            span_id=spans[number],
            parent_span_id=parent,
            started_unix_ms=NOW_MS - 1000 + number,
            **whole,  # type: ignore[arg-type]
        )

    finding = api.CheckFinding(
        check="loop", rule="repeat", severity="error", message="the same request 6 times in 10 m; 5 are allowed"
    )
    return api.Conversation(
        summary=api.ConversationSummary(
            conversation="4bf92f3577b34da6a3ce929d0e0e4736",
            first_seen_unix_ms=NOW_MS - 63_000,
            last_seen_unix_ms=NOW_MS,
            total=api.Traffic(exchanges=4, open=1, refused=1, loops=1, cost_micro_usd=45_000),
            agents=["user", "planner", "researcher"],
            began_with="user",
        ),
        budgets=[api.Account(budget="per-conversation", spent_micro_usd=45_000, limit_micro_usd=2_000_000)],
        timeline=[
            entry(0, "", "user", "planner", joined_by="root", is_open=True, code="", duration_s=0.0),
            entry(1, spans[0], "planner", "researcher", cost_micro_usd=45_000),
            entry(2, spans[1], "researcher", "writer", joined_by="propagated"),
            entry(3, spans[0], "planner", "researcher", decision="reject", reason="LOOP_DETECTED", findings=[finding]),
            entry(4, spans[0], "planner", HOSTILE, code="UNAVAILABLE"),
        ],
    )


def events() -> list[api.TailEvent]:
    subject = api.Subject(exchange_id="x1", edge=edge(), side="inbound", lineage=Lineage(conversation="c" * 32))
    whats = [
        {"exchange_started": api.ExchangeStarted(joined_by="ids", spec="researcher/v1")},
        {"message": api.MessagePassed(direction="request", sequence=0, size_bytes=2048)},
        {"finding": conversation().timeline[3].findings[0]},
        {"verdict": api.VerdictGiven(verifier="grounding", verdict="fail", duration_s=0.004)},
        {"charge": api.ChargeMade(agent="researcher", model="gpt-5", cost_micro_usd=1200, source="reported")},
        {"exchange_ended": api.ExchangeEnded(code="OK", decision="forward", duration_s=0.12, overhead_s=0.0004)},
        {"exchange_ended": api.ExchangeEnded(decision="reject", reason="LOOP_DETECTED", duration_s=0.001)},
        {
            "change": api.AdminChange(
                method="Quarantine", who="token ops", what="agent x", because="why", outcome="done"
            )
        },
        {"alive": api.Alive()},
    ]
    return [
        api.TailEvent(number=number, at_unix_ms=NOW_MS, subject=None if "change" in what else subject, **what)  # type: ignore[arg-type]
        for number, what in enumerate(whats, 1)
    ]
