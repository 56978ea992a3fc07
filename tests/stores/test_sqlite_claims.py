"""Claims in a file keep what all stores keep, and stay small."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.engine.state.claims import Standing
from sidecar.stores.sqlite import Database, SqliteClaims
from sidecar.testing import ManualClock


async def settled(claims: SqliteClaims, key: str) -> None:
    found = await claims.claim(key, digest="d", holder="one", lease_s=30, retain_s=60)
    await claims.complete(key, found.token, b"answer")


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (5, 0), (6, 1), (11, 1), (12, 2)])
async def test_past_the_bytes_allowed_an_answer_is_not_kept_and_its_key_stays_taken(
    tmp_path: Path, limit: int, kept: int
):
    """Until older ones expire."""
    clock = ManualClock()
    database = Database(tmp_path / "state.db", clock=clock, schema=[SqliteClaims.SCHEMA])
    claims = SqliteClaims(database, recorded_bytes_max=limit)
    try:
        for key in ("a", "b"):
            await settled(claims, key)
        found = [await claims.claim(key, digest="d", holder="two", lease_s=1, retain_s=1) for key in ("a", "b")]
        assert [each.standing for each in found] == [Standing.RECORDED] * 2
        assert sum(each.recording is not None for each in found) == kept
        clock.advance(61)
        await settled(claims, "c")
        again = await claims.claim("c", digest="d", holder="two", lease_s=1, retain_s=1)
        assert (again.recording is not None) is (limit >= 6)
    finally:
        await database.close()


async def test_what_expired_is_deleted_and_its_bytes_are_free(tmp_path: Path):
    """A file that lives for years does not grow with them."""
    path, clock = tmp_path / "state.db", ManualClock()
    database = Database(path, clock=clock, schema=[SqliteClaims.SCHEMA])
    claims = SqliteClaims(database)
    for number in range(50):
        await settled(claims, f"old {number}")
        await claims.claim(f"old {number}", digest="d", holder="two", lease_s=1, retain_s=1)
        await claims.sight(f"old {number}", mark="m", exchange="one", deadline_ms=0)
    clock.advance(3_601)
    for number in range(5):
        await settled(claims, f"new {number}")
        await claims.sight(f"new {number}", mark="m", exchange="one", deadline_ms=0)
    await database.close()
    with closing(sqlite3.connect(path)) as opened:
        counts = {
            table: opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("claims", "claim_others", "sightings")
        }
        assert counts == {"claims": 5, "claim_others": 0, "sightings": 5}
        assert opened.execute("SELECT bytes FROM claims_recorded").fetchall() == [(30,)]
