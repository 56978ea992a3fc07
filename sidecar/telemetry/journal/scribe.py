"""The scribe: a thread that makes records of drafts and hands them to the sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from sidecar.engine.redaction import Redactor
from sidecar.telemetry.journal.record import NO_EXCHANGE, Kind, Record
from sidecar.telemetry.journal.sink import CountRecords, SinkWorker
from sidecar.telemetry.journal.translation import Draft, recorded

log = logging.getLogger(__name__)

INTAKE: Final = "intake"
"""Where a draft was dropped that no sink was ever offered; a label beside the sinks' names."""

WAKE_AT: Final = 200
"""Drafts that wait until the scribe is woken; below that it comes by itself."""

AT_ONCE: Final = 64
"""Records made before they are handed on. The thread gives way in between, so that calls do not wait for it."""

PAYLOADS_MAX_BYTES: Final = 64 << 20
"""Payloads that drafts may hold on to until they are digested."""


class Scribe:
    """Takes drafts on the event loop, never waiting; the rest happens on its thread."""

    def __init__(
        self,
        workers: Sequence[SinkWorker],
        redactor: Redactor,
        *,
        count: CountRecords,
        room: int,
        period_s: float,
    ) -> None:
        self._workers = workers
        self._redactor = redactor
        self._count = count
        self._room = room
        self._period_s = period_s
        self._drafts: deque[Draft] = deque()
        self._missed = 0
        """Drafts that were dropped and not told yet. Written on the event loop alone, like `_taken_bytes`."""
        self._told = 0
        self._taken_bytes = 0
        self._released_bytes = 0
        """Written on the scribe's thread alone."""
        self._waking = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()
        self._thread.start()

    @property
    def has_room_for_payload(self) -> bool:
        return self._taken_bytes - self._released_bytes < PAYLOADS_MAX_BYTES

    def take(self, draft: Draft) -> None:
        waiting = len(self._drafts)
        if waiting >= self._room or self._stopping.is_set():
            self._missed += 1
            self._count(INTAKE, "dropped", 1)
            return
        if draft.payload is not None:
            self._taken_bytes += len(draft.payload)
        self._drafts.append(draft)
        if waiting == WAKE_AT:
            self._waking.set()

    def stop(self, limit_s: float) -> bool:
        """Write what waits. True where nothing was left after about `limit_s`. Blocks: not for the loop."""
        until_s = time.monotonic() + limit_s
        self._stopping.set()
        self._waking.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        for worker in self._workers:
            worker.finish()  # all at once: one that is away takes none of the others' time
        stopped = [worker.stop(max(until_s - time.monotonic(), 0.0)) for worker in self._workers]
        return all(stopped) and not self._drafts

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._waking.wait(self._period_s)
            self._waking.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._drafts:
            made = [self._made(self._drafts.popleft()) for _ in range(min(AT_ONCE, len(self._drafts)))]
            records = [record for record in made if record is not None]
            if (missed := self._missed) != self._told and records:
                records.append(gap_after(records[-1], missed - self._told))
                self._told = missed
            self._hand_on(records)

    def _made(self, draft: Draft) -> Record | None:
        try:
            return recorded(draft, self._redactor)
        except Exception:
            # A document that cannot be masked is not shown, and the records of all others still are.
            log.exception("journal: a record of kind %s could not be made", draft.kind)
            self._count(INTAKE, "failed", 1)
            return None
        finally:
            self._released_bytes += draft.held_bytes

    def _hand_on(self, records: Sequence[Record]) -> None:
        for worker in self._workers:
            worker.offer(records)


def gap_after(last: Record, count: int) -> Record:
    return Record(Kind.DROPPED, last.hlc, last.unix_ns, NO_EXCHANGE, "", {"count": count, "where": INTAKE})
