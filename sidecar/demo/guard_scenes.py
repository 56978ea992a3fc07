"""The scenes about what only shows over many calls: loops, money, duplicates, work that stands still, versions.

One agent asks too often and another does whatever it is told. Neither knows; their sidecars do.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sidecar.demo import pages
from sidecar.demo.claims import Scene, at_most, claim
from sidecar.demo.scenes import EXCHANGES, FINDINGS, House, claims_on_refusal, ending, is_told
from sidecar.demo.user import Answer, ask
from sidecar.telemetry import names

LOOPS: Final = names.LOOPS.name
DUPLICATES: Final = names.DUPLICATES.name
STUCK: Final = names.STUCK_TASKS.name
COST: Final = names.COST.name
LOST_UPDATES: Final = names.LOST_UPDATES.name

UNKNOWN_TOPIC: Final = "perpetual motion"
"""Nobody has facts about it, so the planner asks again, twenty times if it is let."""

REPEATS: Final = 5
"""What the researcher's sidecar allows of one question in one conversation."""

COOLDOWN_S: Final = 2.0
"""After which that sidecar lets a broken loop go on."""

STUCK_LIMIT_S: Final = 6.0
"""The teller's work counts as stuck after a second without progress; it is looked for several times a second."""

POLL_S: Final = 0.1

MICRO_USD: Final = 1_000_000
"""In a US dollar: a metrics page has dollars, and what is meant is whole micro-USD."""


async def runaway_loop(house: House) -> Scene:
    """The planner asks for facts that nobody has, again and again, until it is stopped. All else goes on."""
    watch, context_id = await house.watch("researcher"), str(uuid.uuid4())
    received = house.fleet.calls_received("researcher")
    looping = await ask_planner(house, UNKNOWN_TOPIC, context_id)
    broken_after = house.fleet.calls_received("researcher") - received
    other = await ask_planner(house, "bridges", context_id)
    again = await ask_planner(house, UNKNOWN_TOPIC, context_id)
    let_through = house.fleet.calls_received("researcher") - received - broken_after
    counted = await watch.change(2, LOOPS, kind="repeat", action="rejected")
    await asyncio.sleep(COOLDOWN_S)
    received = house.fleet.calls_received("researcher")
    await ask_planner(house, UNKNOWN_TOPIC, context_id)
    resumed = house.fleet.calls_received("researcher") - received
    return Scene(
        title="runaway loop",
        done="planner asks researcher for facts that nobody has, until it is told to stop",
        caller_saw=f"task {looping.state}, told LOOP_DETECTED; another question {other.state}",
        sidecar_saw=f"{broken_after} asked, then broken off; {resumed} more after the cooldown",
        claims=(
            claim("the researcher was asked as often as its sidecar allows", REPEATS, broken_after),
            claim("planner was told by whom and why", True, is_told(looping, "researcher", "LOOP_DETECTED")),
            claim("another question in the same conversation is answered", "OK COMPLETED 5", ending(other)),
            claim("the same one is not, for as long as the break lasts", "FAILED", again.state),
            claim("and only the other one reached the researcher", 1, let_through),
            claim("the sidecar counted each request past the limit", 2, counted),
            claim("after the cooldown it may be asked again, as often as before", REPEATS, resumed),
        ),
    )


async def ask_planner(house: House, topic: str, context_id: str) -> Answer:
    return await ask(house.stage.sidecar("planner"), {"text": topic}, context_id=context_id)


async def spent_budget(house: House) -> Scene:
    """Each piece of advice costs 15 cents and a conversation has 50: the fourth would not fit, so it is not given."""
    watch, context_id = await house.watch("teller"), str(uuid.uuid4())
    received = house.fleet.calls_received("teller")
    answers = [
        await tell(house, "advise", {"id": "alice"}, context_id, question=question)
        for question in ("save or spend?", "shares or gold?", "rent or buy?", "now or later?")
    ]
    refused = await watch.change(1, EXCHANGES, decision="reject", code="RESOURCE_EXHAUSTED")
    last, reached = answers[-1], house.fleet.calls_received("teller") - received
    spent_micro_usd = await watch.change(450_000, COST, scale=MICRO_USD, agent="teller", source="reported")
    return Scene(
        title="spent budget",
        done="user asks teller for advice, four times, at 15 cents each; the conversation has 50",
        caller_saw=f"{[answer.code for answer in answers].count('OK')} times OK, then {last.code} {last.reply}",
        sidecar_saw=f"{spent_micro_usd / MICRO_USD:.2f} USD spent; the third answer said: {answers[2].hint}",
        claims=(
            claim("three fit", ["OK"] * 3, [answer.code for answer in answers[:3]]),
            claim("the third answer tells what is left", "budget; name=advice; remaining_usd=0.05", answers[2].hint),
            *claims_on_refusal(last, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED", "teller/v1"),
            claim("QuotaFailure names the budget", True, names_budget(last, "advice")),
            claim("and says what is left of it", True, "0.05 of 0.50 are left" in last.message),
            claim("what the callee reported was priced and counted", 450_000, spent_micro_usd),
            claim("the sidecar counted one refusal, and the teller did not see it", (1, 3), (refused, reached)),
        ),
    )


def names_budget(answer: Answer, name: str) -> bool:
    return any(violation.subject.startswith(f"budget:{name}:") for violation in answer.quota.violations)


async def double_charge(house: House) -> Scene:
    """One payment is sent three times, twice at the same instant: it is made once, and each caller gets its answer."""
    watch = await house.watch("teller")
    paid = house.fleet.logged("teller", "paid ")
    first, second = await asyncio.gather(*(pay(house, "payment-1") for _ in range(2)))
    third, other = await pay(house, "payment-1"), await pay(house, "payment-2")
    made = house.fleet.logged("teller", "paid ") - paid
    counted = await watch.change(2, DUPLICATES, callee="teller")
    balances = [balance_of(answer) for answer in (first, second, third, other)]
    replies = [answer.reply for answer in (first, second, third, other)]
    return Scene(
        title="double charge",
        done="user sends one payment of 20 USD three times, each time with a new message id; then another payment",
        caller_saw=f"balances {', '.join(map(str, balances))}",
        sidecar_saw=f"{counted} duplicates answered from the record",
        claims=(
            claim("two payments were made", 2, made),
            claim("each caller got the answer to its payment", [980, 980, 980, 960], balances),
            claim("those from the record say so", ["", "", "REPLAYED", "REPLAYED"], sorted(replies)),
            claim("the sidecar counted both duplicates", 2, counted),
        ),
    )


async def pay(house: House, payment: str) -> Answer:
    return await tell(house, "pay", {"id": "bob"}, payment=payment, amount_usd=20)


def balance_of(answer: Answer) -> int:
    return int(account_of(answer).get("balance_usd", -1))


def account_of(answer: Answer) -> dict[str, Any]:
    """As the teller says it stands; empty where it says nothing."""
    return dict(answer.data.get("account", {}))


async def stuck_task(house: House) -> Scene:
    """The teller opens a task and forgets it. Nobody calls, so nobody would notice."""
    watch = await house.watch("teller")
    answer = await ask(
        house.stage.sidecar("teller"), {"data": {"do": "audit", "account": {"id": "carol"}}}, is_impatient=True
    )
    stuck, took_s = await until_stuck(house)
    found = await watch.change(1, FINDINGS, check="task", rule="stuck")
    return Scene(
        title="stuck task",
        done="user has teller audit an account, and teller forgets about it",
        caller_saw=f"{answer.code}, task {answer.state}",
        sidecar_saw=f"{stuck} task without progress, noticed after {took_s:.1f} s",
        claims=(
            claim("the task was begun", "OK SUBMITTED", f"{answer.code} {answer.state}"),
            claim("the gauge shows it", 1, stuck),
            claim("a finding tells of it once", 1, found),
            at_most("and soon", STUCK_LIMIT_S, took_s),
        ),
    )


async def until_stuck(house: House) -> tuple[int, float]:
    began_s = time.monotonic()
    while True:
        page = await pages.metrics(house.stage.metrics("teller"))
        stuck = page.total(STUCK, callee="teller")
        took_s = time.monotonic() - began_s
        if stuck or took_s > STUCK_LIMIT_S:
            return stuck, took_s
        await asyncio.sleep(POLL_S)


async def stale_write(house: House) -> Scene:
    """Two change the same account, both from what they had read: the second would undo the first."""
    watch = await house.watch("teller")
    wrote = house.fleet.logged("teller", "wrote ")
    first = await tell(house, "write", {"id": "dave", "version": 1, "limit_usd": 500})
    stale = await tell(house, "write", {"id": "dave", "version": 1, "limit_usd": 50})
    fresh = await tell(house, "write", {"id": "dave", "version": 2, "limit_usd": 50})
    made = house.fleet.logged("teller", "wrote ") - wrote
    lost = await watch.change(1, LOST_UPDATES, resource="account")
    return Scene(
        title="stale write",
        done="user sets a limit twice, both times from version 1, and then from what stands there",
        caller_saw=f"{first.code}; {stale.code} {stale.reply}; {fresh.code}",
        sidecar_saw=f"{lost} lost update prevented, {made} writes made",
        claims=(
            claim("the first write makes version 2", 2, int(account_of(first).get("version", 0))),
            *claims_on_refusal(stale, "ABORTED", "STALE_WRITE", "teller/v1"),
            claim("whoever reads again may write", "OK", fresh.code),
            claim("two writes were made, one was counted as stale", (2, 1), (made, lost)),
        ),
    )


async def tell(house: House, do: str, account: Mapping[str, Any], context_id: str = "", **more: Any) -> Answer:
    data = {"do": do, "account": dict(account), **more}
    return await ask(house.stage.sidecar("teller"), {"data": data}, context_id=context_id)


SCENES: Final[tuple[Callable[[House], Awaitable[Scene]], ...]] = (
    runaway_loop,
    spent_budget,
    double_charge,
    stuck_task,
    stale_write,
)
"""In the order of the play. Each has a conversation, and an account, of its own."""
