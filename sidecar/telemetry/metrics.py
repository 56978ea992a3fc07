"""Counts what the engine saw. A reporter: it watches, and a scrape reads what it counted."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector

import sidecar
from sidecar.engine.entry import Rejected
from sidecar.engine.exchange import Origin, Side
from sidecar.engine.finding import Action, Forward, Severity
from sidecar.engine.message import Direction
from sidecar.errors import Reason
from sidecar.telemetry import names
from sidecar.telemetry.families import (
    SERIES_LIMIT,
    Count,
    CounterFamily,
    Distribution,
    Exemplar,
    HistogramFamily,
    ScrapedGauge,
)
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.names import OTHER_METHOD, OTHER_SERIES
from sidecar.telemetry.registry import Registry

if TYPE_CHECKING:
    from sidecar.engine.exchange import Exchange, Outcome
    from sidecar.engine.finding import Finding
    from sidecar.engine.message import Message
    from sidecar.engine.ports import Clock

SPAN_OUTCOMES = ("exported", "dropped", "failed")
JOINS = ("propagated", "ids", "sole_inflight", "ambiguous", "root")
RELOADS = ("loaded", "refused")
SECRETS = ("listen_tls", "upstream_tls", "verifier_tls", "lineage_keys", "metrics", "admin")


class Edge:
    """The series of one edge and side, looked up once and kept."""

    __slots__ = ("_ended", "_exchanges", "_labels", "duration", "messages", "overhead", "sizes", "waited")

    def __init__(self, reporter: MetricsReporter, caller: str, callee: str, method: str, side: str) -> None:
        self._labels = (caller, callee, method, side)
        self._exchanges = reporter.exchanges
        self._ended: dict[tuple[str, str], Count] = {}
        self.duration: Distribution = reporter.durations.series(caller, callee, method, side)
        self.overhead: Distribution = reporter.overheads.series(method)
        self.waited: Count = reporter.waits.series(method)
        self.messages = {way: reporter.messages.series(caller, callee, method, way, side) for way in Direction}
        self.sizes = {way: reporter.sizes.series(way, side) for way in Direction}

    @property
    def callee(self) -> str:
        return self._labels[1]

    @property
    def has_unknown_method(self) -> bool:
        return self._labels[2] == OTHER_METHOD

    def ended(self, code: str, decision: str) -> Count:
        found = self._ended.get((code, decision))
        if found is None:
            caller, callee, method, side = self._labels
            found = self._ended[code, decision] = self._exchanges.series(caller, callee, method, code, decision, side)
        return found


class MetricsReporter:
    """The metrics of DESIGN's list that exchanges, traces and specs fill, in `registry`, which a MetricsServer serves.

    Later parts register their own families in `registry`. All hooks are called on the event loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        methods: KnownMethods | None = None,
        series_limit: int = SERIES_LIMIT,
        version: str = sidecar.__version__,
    ) -> None:
        self.registry = Registry()
        self._clock = clock
        self._methods = methods or KnownMethods()
        self._series_limit = series_limit
        self._edges: dict[tuple[str, str, str, str], Edge] = {}
        self._rest: Edge | None = None
        self._open: dict[Exchange, Edge] = {}
        self._register_exchanges()
        self._register_events()
        self._register_process(version)

    # --- hooks ---------------------------------------------------------------------------------------------------

    def exchange_started(self, exchange: Exchange) -> None:
        self._open[exchange] = self._edge(exchange)
        lineage = exchange.lineage
        self._joins.series(lineage.source, exchange.side).add()
        if lineage.rejected:
            self.lineage_rejected(lineage.rejected)

    def message_seen(self, exchange: Exchange, message: Message) -> None:
        edge = self._open.get(exchange) or self._edge(exchange)
        direction = message.direction
        edge.messages[direction].add()
        edge.sizes[direction].observe(message.size_bytes)

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        self.findings.series(
            finding.check, finding.rule, finding.severity, exchange.caller, exchange.callee, action
        ).add()
        if finding.severity is Severity.INTERNAL and isinstance(exchange.decision, Forward):
            self.fail_open(finding.check, finding.rule.replace("-", "_"))
        if action is Action.REJECTED and (finding.reason is Reason.OVERLOADED or is_breakers(finding)):
            self.shed(exchange.callee, finding.rule)

    def exchange_ended(self, outcome: Outcome) -> None:
        exchange, code = outcome.exchange, outcome.status.code
        edge = self._open.pop(exchange, None) or self._edge(exchange)
        if edge.has_unknown_method and code == "OK" and outcome.status.origin is Origin.UPSTREAM:
            self._methods.succeeded(exchange.method)
            edge = self._edge(exchange)
        lineage = exchange.lineage
        exemplar = None
        if lineage.is_sampled:
            exemplar = Exemplar(lineage.trace_id, lineage.span_id, outcome.ended_unix_ns / 1e9)
        edge.ended(code, exchange.decision.label).add(1, exemplar)
        edge.duration.observe(outcome.duration_s, exemplar)
        edge.overhead.observe(outcome.overhead_s, exemplar)
        if outcome.waited_s:
            edge.waited.add(outcome.waited_s)
        for check in {finding.check for finding in exchange.findings if finding.severity is Severity.ERROR}:
            self.violations.series(check, exchange.caller, exchange.callee, exchange.side).add()
        if exchange.is_retry:
            self.retries.series(exchange.caller, exchange.callee).add()

    # --- what no hook tells --------------------------------------------------------------------------------------

    def spans(self, outcome: str, count: int = 1) -> None:
        """`exported`, `dropped` or `failed`. Each outcome has one writing thread: the exporter's, or the loop's."""
        self._spans.series(outcome).add(count)

    def lineage_rejected(self, reason: str) -> None:
        """Called here for what a settled lineage says was rejected; by others only for what never became one."""
        self.rejections.series(reason).add()

    def specs_reloaded(self, outcome: str) -> None:
        """`loaded` or `refused`."""
        self._reloads.series(outcome).add()

    def secrets_reloaded(self, what: str, outcome: str) -> None:
        """`what` is the kind of file; the outcome is `loaded` or `refused`."""
        self._secret_reloads.series(what, outcome).add()

    def shed(self, callee: str, reason: str) -> None:
        """Called here for an exchange that is asked to come back; by others for calls that never became one."""
        self.sheds.series(callee, reason).add()

    def fail_open(self, check: str, reason: str) -> None:
        """Called here for findings of severity `internal` that did not stop the call."""
        self.fail_opens.series(check, reason).add()

    def watch_quarantine(self, count: Callable[[], Mapping[str, int]]) -> None:
        """`count` is asked at every scrape, on the server's thread: how many are held back, by kind."""

        def read() -> Mapping[tuple[str, ...], float]:
            return {(kind,): float(number) for kind, number in count().items()}

        self.registry.register(ScrapedGauge(names.QUARANTINED, read))

    # --- inside --------------------------------------------------------------------------------------------------

    def _edge(self, exchange: Exchange) -> Edge:
        key = (exchange.caller, exchange.callee, self._methods.name(exchange.method), exchange.side)
        found = self._edges.get(key)
        return self._add_edge(key) if found is None else found

    def _add_edge(self, key: tuple[str, str, str, str]) -> Edge:
        if len(self._edges) < self._series_limit:
            return self._edges.setdefault(key, Edge(self, *key))
        if self._rest is None:
            self._rest = Edge(self, OTHER_SERIES, OTHER_SERIES, OTHER_SERIES, OTHER_SERIES)
        return self._rest

    def _inflight(self) -> Mapping[tuple[str, ...], float]:
        counts = self._idle()
        for exchange in list(self._open):
            counts[exchange.callee,] = counts.get((exchange.callee,), 0) + 1
        return counts

    def _oldest_inflight(self) -> Mapping[tuple[str, ...], float]:
        now_ns = self._clock.monotonic_ns()
        ages = self._idle()
        for exchange in list(self._open):
            ages[exchange.callee,] = max(ages.get((exchange.callee,), 0), (now_ns - exchange.started_ns) / 1e9)
        return ages

    def _idle(self) -> dict[tuple[str, ...], float]:
        """Zero for every callee ever called: a gauge that vanishes with the last call would hide it."""
        return {(edge.callee,): 0 for edge in list(self._edges.values())}

    def _register_exchanges(self) -> None:
        self.exchanges = self._counter(names.EXCHANGES)
        self.durations = self._histogram(names.EXCHANGE_DURATION)
        self.violations = self._counter(names.VIOLATIONS)
        self.overheads = self._histogram(names.OVERHEAD_DURATION)
        self.waits = self._counter(names.WAITED)
        self.messages = self._counter(names.MESSAGES)
        self.sizes = self._histogram(names.MESSAGE_SIZE)
        self.registry.register(ScrapedGauge(names.INFLIGHT, self._inflight))
        self.registry.register(ScrapedGauge(names.OLDEST_INFLIGHT, self._oldest_inflight))

    def _register_events(self) -> None:
        # Label values that are known beforehand start at 0, so that an alert sees their first increase.
        self.findings = self._counter(names.FINDINGS)
        self.fail_opens = self._counter(names.FAIL_OPEN)
        self.rejections = self._counter(names.LINEAGE_REJECTED, *zip(Rejected, strict=True))
        self.sheds = self._counter(names.SHED)
        self.retries = self._counter(names.RETRIES)
        self._joins = self._counter(names.TRACE_JOINS, *product(JOINS, Side))
        self._spans = self._counter(names.SPANS, *zip(SPAN_OUTCOMES, strict=True))
        self._reloads = self._counter(names.SPEC_RELOADS, *zip(RELOADS, strict=True))
        self._secret_reloads = self._counter(names.SECRET_RELOADS, *product(SECRETS, RELOADS))

    def _register_process(self, version: str) -> None:
        build: dict[tuple[str, ...], float] = {(version, platform.python_version()): 1.0}
        self.registry.register(ScrapedGauge(names.BUILD, lambda: build))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _counter(self, metric: names.Metric, *known: tuple[str, ...]) -> CounterFamily:
        family = CounterFamily(metric, self._series_limit)
        for labels in known:
            family.series(*labels)
        self.registry.register(family)
        return family

    def _histogram(self, metric: names.Metric) -> HistogramFamily:
        family = HistogramFamily(metric, self._series_limit)
        self.registry.register(family)
        return family


def is_breakers(finding: Finding) -> bool:
    """Whether a circuit breaker refused: its reason is that of a callee that cannot be reached."""
    return (finding.check, finding.rule) == ("pressure", "breaker")
