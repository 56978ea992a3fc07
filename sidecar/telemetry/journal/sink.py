"""A sink: one place that records go to, and the thread that takes them there.

A sink that is slow or away stops nothing: its records wait in a bounded queue, what comes on top is dropped, counted,
and told by a record of its own as soon as there is room.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sidecar.telemetry.journal.record import NO_EXCHANGE, Kind, Record

log = logging.getLogger(__name__)

BATCH: Final = 256
"""Records written at once: a batch is short enough to keep nobody from the interpreter for long."""

RETRY_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
"""How long a sink that failed is left alone, doubled each time up to this."""

COMPLAINT_PERIOD_S: Final = 60.0
"""A sink that is away is said once in this time; the counter has the rest."""

CountRecords = Callable[[str, str, int], None]
"""Told the sink, what became of records (`written`, `dropped` or `failed`) and how many."""


class SinkFailed(Exception):
    """A sink cannot take records now. Those that it was given are offered again."""


class SinkRefused(Exception):
    """A sink will not take these records, now or later, or gave them up itself."""


class Sink(Protocol):
    """One place. All of it is called on one thread of its own."""

    name: str
    """Label in metrics and log lines: sqlite, jsonl, otlp, redis."""

    def write(self, records: Sequence[Record]) -> None:
        """Take them all or none, opening whatever must be open. Raises SinkFailed or SinkRefused."""

    def close(self) -> None:
        """Nothing more will come. Never raises."""


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What bounds a sink."""

    flush_s: float = 0.2
    """Longest wait before an incomplete batch is written."""
    queue: int = 20_000
    """Records that may wait; what comes on top is dropped and counted."""


class SinkWorker:
    """The thread of one sink, and its queue."""

    def __init__(self, sink: Sink, settings: SinkSettings, count: CountRecords) -> None:
        self._sink = sink
        self._settings = settings
        self._count = count
        self._queue: deque[Record] = deque()
        self._lock = threading.Lock()
        self._dropped = 0
        """Not told yet by a record."""
        self._dropped_at: Record | None = None
        self._waking = threading.Event()
        self._stopping = threading.Event()
        self._is_away = False
        self._complaint_due_s = 0.0
        self._retry_s = RETRY_S
        self._thread = threading.Thread(target=self._run, name=f"journal-{sink.name}", daemon=True)

    @property
    def sink(self) -> Sink:
        return self._sink

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        self._thread.start()

    def offer(self, records: Sequence[Record]) -> None:
        """Never waits. On the scribe's thread."""
        with self._lock:
            room = self._settings.queue - len(self._queue)
            if self._dropped and room > 0:
                self._queue.append(self._gap())  # in its place: after what waits, and before what comes
                room -= 1
            taken = records if len(records) <= room else records[:room]
            self._queue.extend(taken)
            if over := len(records) - len(taken):
                self._dropped_at = self._dropped_at or records[len(taken)]
                self._dropped += over
        if over:
            self._count(self._sink.name, "dropped", over)
        self._waking.set()

    def finish(self) -> None:
        """Write what waits, and then no more. Does not wait for it."""
        self._stopping.set()
        self._waking.set()

    def stop(self, limit_s: float) -> bool:
        """Write what waits, for at most `limit_s`; the rest counts as failed. True where nothing was left."""
        self.finish()
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        with self._lock:
            left = len(self._queue)
            self._queue.clear()
        if left:
            self._count(self._sink.name, "failed", left)
            log.error("journal: %d records were not written to %s before the end", left, self._sink.name)
        return not left

    def _run(self) -> None:
        try:
            self._attempt([])  # opens it, so that a journal is there, and its trouble is said, before the first record
            while not self._stopping.is_set():
                self._waking.wait(self._settings.flush_s)
                self._waking.clear()
                if not self._drain():
                    self._stopping.wait(self._retry_s)
            self._drain()
        finally:
            self._sink.close()

    def _drain(self) -> bool:
        """False where the sink is away."""
        while batch := self._taken():
            if not self._attempt(batch):
                return False
        return True

    def _attempt(self, batch: Sequence[Record]) -> bool:
        try:
            self._sink.write(batch)
        except SinkFailed as error:
            self._put_back(batch)
            self._went_away(error)
            return False
        except Exception as error:
            # Whatever is wrong with these records or their sink, the next ones get their chance.
            self._count(self._sink.name, "failed", len(batch))
            self._complain("journal: %s gave up %d records: %s", self._sink.name, len(batch), error)
        else:
            self._count(self._sink.name, "written", len(batch))
            self._came_back()
        return True

    def _taken(self) -> list[Record]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            if self._dropped and not self._queue:
                batch.append(self._gap())
        return batch

    def _gap(self) -> Record:
        at = self._dropped_at
        assert at is not None
        gap = Record(
            Kind.DROPPED, at.hlc, at.unix_ns, NO_EXCHANGE, "", {"count": self._dropped, "where": self._sink.name}
        )
        self._dropped, self._dropped_at = 0, None
        return gap

    def _put_back(self, batch: Sequence[Record]) -> None:
        with self._lock:
            self._queue.extendleft(reversed(batch))

    def _went_away(self, error: Exception) -> None:
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S) if self._is_away else RETRY_S
        self._is_away = True
        self._complain(
            "journal: %s takes no records: %s; calls are not affected, %d records wait",
            self._sink.name,
            error,
            self.waiting,
        )

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            self._complaint_due_s = 0.0
            log.warning("journal: %s takes records again", self._sink.name)

    def _complain(self, line: str, *values: object) -> None:
        now_s = time.monotonic()
        if now_s >= self._complaint_due_s:
            log.error(line, *values)
            self._complaint_due_s = now_s + COMPLAINT_PERIOD_S
