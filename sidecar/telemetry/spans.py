"""One span an exchange, made off the call's path: the reporter queues a record (bounded), a thread exports it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from sidecar.engine.exchange import Origin
from sidecar.engine.redaction import Redactor
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.otlp import RequestEncoder, TakesRequests, count_spans
from sidecar.telemetry.readable import readable_span
from sidecar.telemetry.span_record import Limits, Server, SpanRecord, masked, record_of

if TYPE_CHECKING:
    from sidecar.engine.exchange import Outcome
    from sidecar.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

COMPLAINT_PERIOD_S = 60.0
"""A receiver that is down is said once in this time; the counter has the rest."""

CountSpans = Callable[[str, int], None]
"""Told `exported`, `dropped` or `failed` and how many (MetricsReporter.spans)."""


class SpanReporter:
    """Reports sampled exchanges to `exporter`; with None it does nothing.

    `servers` says by route name where the callee is reached. `methods` is shared with the metrics, so that both call a
    method the same. Nothing here blocks or raises on the event loop: a full queue drops the newest span and counts it.
    """

    def __init__(
        self,
        exporter: SpanExporter | None,
        *,
        resource: Resource,
        tracing: Tracing,
        count: CountSpans,
        methods: KnownMethods | None = None,
        servers: Mapping[str, Server] | None = None,
        limits: Limits | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._methods = methods or KnownMethods()
        self._servers = servers or {}
        self._count = count
        self._queue: deque[SpanRecord] = deque()
        self._room = tracing.queue
        self._batch = tracing.batch
        self._worker: SpanWorker | None = None
        if exporter is not None:
            self._worker = SpanWorker(
                exporter, self._queue, resource, tracing, count, limits or Limits(), redactor or Redactor()
            )

    def start(self) -> None:
        if self._worker is not None:
            self._worker.start()

    def exchange_ended(self, outcome: Outcome) -> None:
        exchange = outcome.exchange
        if self._worker is None or not exchange.lineage.is_sampled:
            return
        if len(self._queue) >= self._room or self._worker.is_stopping:
            self._count("dropped", 1)
            return
        if outcome.status.code == "OK" and outcome.status.origin is Origin.UPSTREAM:
            self._methods.succeeded(exchange.method)
        server = self._servers.get(exchange.arrival.route.name)
        self._queue.append(record_of(outcome, self._methods.name(exchange.method), server))
        if len(self._queue) >= self._batch:
            self._worker.wake()

    def flush(self, limit_s: float) -> bool:
        """Wait until all that was reported before is exported or given up; False if that took longer than `limit_s`."""
        return self._worker is None or self._worker.flush(limit_s)

    def shutdown(self, limit_s: float) -> bool:
        """Export what waits, for at most about `limit_s`; the rest is counted as dropped. Blocks: not for the loop."""
        if self._worker is None:
            return True
        is_drained = self._worker.stop(limit_s)
        if left := len(self._queue):
            self._queue.clear()
            self._count("dropped", left)
        return is_drained and not left


class SpanWorker:
    """The thread that empties the queue, a batch at a time, when one is full or the delay has passed."""

    def __init__(
        self,
        exporter: SpanExporter,
        queue: deque[SpanRecord],
        resource: Resource,
        tracing: Tracing,
        count: CountSpans,
        limits: Limits,
        redactor: Redactor,
    ) -> None:
        self._redactor = redactor
        self._exporter = exporter
        self._queue = queue
        self._resource = resource
        self._limits = limits
        self._encoder = RequestEncoder(resource, limits)
        self._batch = tracing.batch
        self._delay_s = tracing.schedule_delay_s
        self._count = count
        self._waking = threading.Event()
        self._stopping = threading.Event()
        self._flushes: deque[threading.Event] = deque()
        self._lost = 0
        self._complaint_due_s = 0.0
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._waking.set()

    def flush(self, limit_s: float) -> bool:
        done = threading.Event()
        self._flushes.append(done)
        self.wake()
        return done.wait(limit_s)

    def stop(self, limit_s: float) -> bool:
        """True if the queue was emptied in time. Else the exporter is shut down under it, which ends a retry."""
        self._stopping.set()
        self.wake()
        if self._thread.ident is None:
            self._exporter.shutdown()
            return not self._queue
        self._thread.join(limit_s)
        is_drained = not self._thread.is_alive()
        self._exporter.shutdown()
        self._thread.join(1.0)
        return is_drained

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._waking.wait(self._delay_s)
            self._waking.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        waiting = [self._flushes.popleft() for _ in range(len(self._flushes))]
        while batch := self._take():
            self._export(batch)
        for done in waiting:
            done.set()

    def _take(self) -> list[SpanRecord]:
        try:
            return [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
        except IndexError:  # shutdown gave up and cleared the queue meanwhile
            return []

    def _export(self, batch: Sequence[SpanRecord]) -> None:
        try:
            sent = self._send(batch)
        except Exception:
            # Whatever a receiver or an exporter does, calls go on and the thread stays.
            log.debug("span export raised", exc_info=True)
            sent = 0
        if sent:
            self._count("exported", sent)
        if lost := len(batch) - sent:
            self._count("failed", lost)
            self._complain(lost)

    def _send(self, taken: Sequence[SpanRecord]) -> int:
        """How many the receiver took."""
        batch = [masked(record, self._redactor) for record in taken]
        if isinstance(self._exporter, TakesRequests):
            request = self._encoder.encode(batch)
            result, count = self._exporter.export_request(request), count_spans(request)
        else:
            spans = [readable_span(record, self._resource, self._limits) for record in batch]
            result, count = self._exporter.export(spans), len(spans)
        return count if result is SpanExportResult.SUCCESS else 0

    def _complain(self, lost: int) -> None:
        self._lost += lost
        now_s = time.monotonic()
        if now_s >= self._complaint_due_s:
            log.warning("%d spans could not be exported; calls are not affected", self._lost)
            self._complaint_due_s = now_s + COMPLAINT_PERIOD_S
            self._lost = 0
