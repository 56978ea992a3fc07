"""The ledger, in a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sidecar.engine.state.ledger import (
    LEASE_S,
    RECORDED_KEPT_S,
    SETTLED_KEPT_S,
    Balance,
    Draw,
    Hold,
    Purse,
    Reservation,
)
from sidecar.engine.state.window import Window, period_of
from sidecar.stores.sqlite.database import Database

TIDIED_AT_ONCE: Final = 20
"""What one verb lapses and forgets at most: more than it adds."""

TOUCH: Final = """
    INSERT INTO ledger_purses VALUES (:budget, :account, :window, :keep_s, :period, 0, 0, :forget_ms)
    ON CONFLICT (budget, account) DO UPDATE SET forget_ms = excluded.forget_ms, period = excluded.period,
        window = excluded.window, keep_s = excluded.keep_s,
        spent = iif(excluded.period > period OR forget_ms < :now_ms, 0, spent),
        held = iif(excluded.period > period OR forget_ms < :now_ms, 0, held)
    WHERE excluded.period >= period
"""
"""The purse, begun anew where it was forgotten or its window has ended."""

ADD: Final = """
    UPDATE ledger_purses SET spent = spent + ?, held = held + ? WHERE budget = ? AND account = ? AND period = ?
"""
"""Only where the purse still is what it was: one of a window that has ended has nothing to change."""

FULLEST: Final = """
    SELECT account, window, keep_s, period, spent, held FROM ledger_purses
    WHERE budget = ? ORDER BY spent + held DESC LIMIT ?
"""

LOOKED_AT: Final = 100
"""Purses among which the fullest are sought: some of the first may be of a window that has ended."""


class SqliteLedger:
    """The Ledger port in a file."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS ledger_purses (
            budget TEXT NOT NULL, account TEXT NOT NULL, window TEXT NOT NULL, keep_s REAL, period INTEGER NOT NULL,
            spent INTEGER NOT NULL, held INTEGER NOT NULL, forget_ms INTEGER, PRIMARY KEY (budget, account)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS ledger_purses_forget ON ledger_purses (forget_ms) WHERE forget_ms IS NOT NULL;
        CREATE INDEX IF NOT EXISTS ledger_purses_used ON ledger_purses (budget, spent + held);
        CREATE TABLE IF NOT EXISTS ledger_charges (
            id TEXT PRIMARY KEY, state TEXT NOT NULL, amount INTEGER NOT NULL, draws TEXT NOT NULL,
            due_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS ledger_charges_due ON ledger_charges (due_ms);
        CREATE TABLE IF NOT EXISTS ledger_limits (budget TEXT PRIMARY KEY, micro_usd INTEGER NOT NULL) WITHOUT ROWID;
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self,
        charge_id: str,
        amount_micro_usd: int,
        holds: Sequence[Hold],
        *,
        share_percent: int = 0,
        spare_micro_usd: int = 0,
        lease_s: float = LEASE_S,
    ) -> Reservation:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> Reservation:
            tidy(cursor, now_ms)
            before = tuple(standing(cursor, holds, now_ms))
            known = cursor.execute("SELECT amount FROM ledger_charges WHERE id = ?", (charge_id,)).fetchone()
            if known is not None:
                return Reservation(before, known[0], is_new=False)
            lefts = [(index, each.left_micro_usd) for index, each in enumerate(before) if holds[index].is_binding]
            for index, left in lefts:
                if left < amount_micro_usd + spare_micro_usd:
                    return Reservation(before, 0, refused_by=index)
            share = min((left for _, left in lefts), default=0) * share_percent // 100
            held = max(amount_micro_usd, share)
            for each in before:
                touch(cursor, each.purse, each.period, now_ms)
                add(cursor, key_of(each.draw), held=held)
            keep(cursor, charge_id, "held", held, [key_of(each.draw) for each in before], now_ms + lease_s * 1000)
            return Reservation(tuple(standing(cursor, holds, now_ms)), held)

        return await self._database.run(verb)

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            tidy(cursor, now_ms)
            return bool(finish(cursor, charge_id, amount_micro_usd, now_ms))

        return await self._database.run(verb)

    async def void(self, charge_id: str) -> None:
        await self.settle(charge_id, 0)

    async def withdraw(self, charge_id: str) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            tidy(cursor, now_ms)
            held = "SELECT amount, draws FROM ledger_charges WHERE id = ? AND state = 'held'"
            row = cursor.execute(held, (charge_id,)).fetchone()
            if row is None:
                return False
            for key in json.loads(row[1]):
                add(cursor, key, held=-row[0])
            cursor.execute("DELETE FROM ledger_charges WHERE id = ?", (charge_id,))
            return True

        return await self._database.run(verb)

    async def charge(self, charge_id: str, draws: Sequence[Draw], amount_micro_usd: int) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            tidy(cursor, now_ms)
            if (finished := finish(cursor, charge_id, amount_micro_usd, now_ms)) is not None:
                return finished
            for draw in draws:
                touch(cursor, draw.purse, draw.period, now_ms)
                add(cursor, key_of(draw), spent=amount_micro_usd)
            keep(cursor, charge_id, "done", amount_micro_usd, [], now_ms + RECORDED_KEPT_S * 1000)
            return True

        return await self._database.run(verb)

    async def balances(self, holds: Sequence[Hold]) -> tuple[Balance, ...]:
        return await self._database.run(lambda cursor, now_ms: tuple(standing(cursor, holds, now_ms)))

    async def fullest(self, budget: str, limit_micro_usd: int, at_most: int = 1) -> list[Balance]:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> list[Balance]:
            rows = cursor.execute(FULLEST, (budget, max(at_most, LOOKED_AT))).fetchall()
            holds = [Hold(Purse(budget, row[0], Window(row[1]), row[2]), limit_micro_usd) for row in rows]
            found = sorted(standing(cursor, holds, now_ms), key=lambda each: each.used_micro_usd, reverse=True)
            return found[:at_most]

        return await self._database.run(verb)

    async def set_limit(self, budget: str, limit_micro_usd: int | None) -> None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> None:  # noqa: ARG001 - a verb's form
            cursor.execute("DELETE FROM ledger_limits WHERE budget = ?", (budget,))
            if limit_micro_usd is not None:
                cursor.execute("INSERT INTO ledger_limits VALUES (?, ?)", (budget, limit_micro_usd))

        await self._database.run(verb)

    async def reset(self, hold: Hold) -> tuple[Balance, int]:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> tuple[Balance, int]:
            [before] = standing(cursor, [hold], now_ms)
            cursor.execute(RESET, key_of(before.draw))
            return next(standing(cursor, [hold], now_ms)), before.spent_micro_usd

        return await self._database.run(verb)


Key = list[Any]
"""A draw as it is kept: budget, account, period."""


RESET: Final = "UPDATE ledger_purses SET spent = 0 WHERE budget = ? AND account = ? AND period = ?"


def key_of(draw: Draw) -> Key:
    return [draw.purse.budget, draw.purse.account, draw.period]


def standing(cursor: sqlite3.Cursor, holds: Sequence[Hold], now_ms: int) -> Iterator[Balance]:
    for hold in holds:
        purse, period = hold.purse, period_of(hold.purse.window, now_ms)
        row = cursor.execute("SELECT micro_usd FROM ledger_limits WHERE budget = ?", (purse.budget,)).fetchone()
        limit = hold.limit_micro_usd if row is None else row[0]
        kept = cursor.execute(
            "SELECT period, spent, held FROM ledger_purses WHERE budget = ? AND account = ? AND period >= ?"
            " AND (forget_ms IS NULL OR forget_ms >= ?)",
            (purse.budget, purse.account, period, now_ms),
        ).fetchone()
        period, spent, held = kept or (period, 0, 0)
        yield Balance(purse, period, spent, held, limit)


def touch(cursor: sqlite3.Cursor, purse: Purse, period: int, now_ms: int) -> None:
    row = {
        "budget": purse.budget,
        "account": purse.account,
        "window": purse.window.value,
        "keep_s": purse.keep_s,
        "period": period,
        "forget_ms": None if purse.keep_s is None else now_ms + int(purse.keep_s * 1000),
        "now_ms": now_ms,
    }
    cursor.execute(TOUCH, row)


def add(cursor: sqlite3.Cursor, key: Key, *, spent: int = 0, held: int = 0) -> None:
    cursor.execute(ADD, (spent, held, *key))


def keep(cursor: sqlite3.Cursor, charge_id: str, state: str, amount: int, draws: list[Key], due_ms: float) -> None:
    row = (charge_id, state, amount, json.dumps(draws), int(due_ms))
    cursor.execute("INSERT OR REPLACE INTO ledger_charges VALUES (?, ?, ?, ?, ?)", row)


def finish(cursor: sqlite3.Cursor, charge_id: str, amount: int, now_ms: int) -> bool | None:
    """Settle a charge. False where that was done before; None where nobody knows it."""
    row = cursor.execute("SELECT state, amount, draws FROM ledger_charges WHERE id = ?", (charge_id,)).fetchone()
    if row is None:
        return None
    state, held, draws = row
    if state == "done":
        return False
    for key in json.loads(draws):
        if state == "held":
            add(cursor, key, spent=amount, held=-held)
        else:
            add(cursor, key, spent=amount - held)
    keep(cursor, charge_id, "done", amount, [], now_ms + SETTLED_KEPT_S * 1000)
    return True


def tidy(cursor: sqlite3.Cursor, now_ms: int) -> None:
    """Lapse and forget what is due, a few at a time."""
    overdue = "SELECT id, state, amount, draws FROM ledger_charges WHERE due_ms < ? ORDER BY due_ms LIMIT ?"
    for charge_id, state, amount, draws in cursor.execute(overdue, (now_ms, TIDIED_AT_ONCE)).fetchall():
        if state != "held":
            cursor.execute("DELETE FROM ledger_charges WHERE id = ?", (charge_id,))
            continue
        for key in json.loads(draws):
            add(cursor, key, spent=amount, held=-amount)
        keep(cursor, charge_id, "lapsed", amount, json.loads(draws), now_ms + RECORDED_KEPT_S * 1000)
    old = "SELECT budget, account FROM ledger_purses WHERE forget_ms < ? LIMIT ?"
    cursor.execute(f"DELETE FROM ledger_purses WHERE (budget, account) IN ({old})", (now_ms, TIDIED_AT_ONCE))  # noqa: S608 - no value is spelled into it
