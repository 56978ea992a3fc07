"""A trail as bytes: 105 for each visit, oldest first. SQLite keeps it so, and Redis' scripts work on it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from sidecar.engine.state.visits import Mark, Visit

RECORD: Final = struct.Struct(">QQQQQ16sQQ16sQdB")
"""exchange, edge, caller, callee, fingerprint, likeness, key, task, answer, digest, at_ms, mark."""


def packed(visit: Visit) -> bytes:
    likeness, answer = visit.likeness.to_bytes(16, "big"), visit.answer.to_bytes(16, "big")
    return RECORD.pack(*visit[:5], likeness, visit.key, visit.task, answer, visit.digest, visit.at_ms, visit.mark)


def taped(trail: Sequence[Visit]) -> bytes:
    return b"".join(map(packed, trail))


def trail_of(tape: bytes) -> list[Visit]:
    return [visit_of(*fields) for fields in RECORD.iter_unpack(tape)]


def visit_of(
    exchange: int,
    edge: int,
    caller: int,
    callee: int,
    fingerprint: int,
    likeness: bytes,
    key: int,
    task: int,
    answer: bytes,
    digest: int,
    at_ms: float,
    mark: int,
) -> Visit:
    near, added = int.from_bytes(likeness), int.from_bytes(answer)
    return Visit(exchange, edge, caller, callee, fingerprint, near, key, task, added, digest, int(at_ms), MARKS[mark])


MARKS: Final = tuple(Mark)
