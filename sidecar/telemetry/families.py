"""Metric families that cost a fraction of a microsecond to write and are made into samples only when scraped.

prometheus_client does not hold them, for its children take a lock and a linear search a write; and a page writes their
lines without it (`registry`). One thread (the event loop) writes a series, and a scrape reads it from another: what
it takes in one step (a copied list or dict) is consistent, and two values of one series may be one call apart.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import Metric as Samples
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as SampleExemplar
from prometheus_client.utils import floatToGoString

from sidecar.telemetry.names import OTHER_SERIES, Metric
from sidecar.telemetry.registry import header, label_texts

SERIES_LIMIT = 2000
"""Series of one metric, as OpenTelemetry's SDK limits them; the one for what overflows comes on top."""


Labels = tuple[str, ...]
"""Values of a metric's labels, in the metric's order."""

INTEGERS_AS_THEY_ARE = 10**6
"""Below it a whole number is written like Python's float; above it Go takes an exponent."""


class Exemplar(NamedTuple):
    """A trace that explains a number. Given only for sampled exchanges: any other link leads nowhere."""

    trace_id: str
    span_id: str
    unix_s: float

    def with_value(self, value: float) -> SampleExemplar:
        return SampleExemplar({"trace_id": self.trace_id, "span_id": self.span_id}, value, self.unix_s)

    def text(self, value: float) -> str:
        """What follows a sample's value in OpenMetrics. Ids are hexadecimal, so nothing is to be escaped."""
        return f' # {{span_id="{self.span_id}",trace_id="{self.trace_id}"}} {number(value)} {self.unix_s}'


class Count:
    """One series of a counter."""

    __slots__ = ("exemplar", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.exemplar: Exemplar | None = None

    def add(self, amount: float = 1, exemplar: Exemplar | None = None) -> None:
        self.value += amount
        if exemplar is not None:
            self.exemplar = exemplar


class Distribution:
    """One series of a histogram. Each bucket keeps its last exemplar."""

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: list[tuple[float, Exemplar] | None] = [None] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, exemplar: Exemplar | None = None) -> None:
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if exemplar is not None:
            self.exemplars[bucket] = (value, exemplar)


Series = TypeVar("Series", Count, Distribution)


class Family(Collector, Generic[Series]):
    """All series of one metric, at most `limit` and one more for the rest."""

    def __init__(self, metric: Metric, make: Callable[[], Series], limit: int = SERIES_LIMIT) -> None:
        self.metric = metric
        self._make: Callable[[], Series] = make
        self._limit = limit
        self._series: dict[Labels, Series] = {}
        self._texts: dict[Labels, tuple[str, ...]] = {}
        self._overflow: Series | None = None
        self._overflow_labels = (OTHER_SERIES,) * len(metric.labels)
        self._lock = threading.Lock()

    def series(self, *labels: str) -> Series:
        """The series of these label values, in the metric's order. Worth keeping by whoever writes it often."""
        found = self._series.get(labels)
        return self._add(labels) if found is None else found

    def _add(self, labels: tuple[str, ...]) -> Series:
        assert len(labels) == len(self.metric.labels), self.metric.name
        with self._lock:
            if labels in self._series or (len(self._series) < self._limit and labels != self._overflow_labels):
                return self._series.setdefault(labels, self._make())
            if self._overflow is None:
                self._overflow = self._make()
            return self._overflow

    def describe(self) -> Iterable[Samples]:
        return (self._empty(),)

    def collect(self) -> Iterator[Samples]:
        samples = self._empty()
        for labels, series in self._snapshot():
            self._sample(samples, dict(zip(self.metric.labels, labels, strict=True)), series)
        if samples.samples:
            yield samples

    def text(self, *, is_openmetrics: bool) -> str:
        """The part of a page that `collect` would become."""
        lines: list[str] = []
        for labels, series in self._snapshot():
            texts = self._texts.get(labels) or self._texts.setdefault(labels, self._label_texts(labels))
            self._write(lines, texts, series, is_openmetrics=is_openmetrics)
        return header(self._empty(), is_openmetrics=is_openmetrics) + "".join(lines) if lines else ""

    def _label_texts(self, labels: Labels) -> tuple[str, ...]:
        """What the lines of a series have between their braces: made once, and kept."""
        return (",".join(label_texts(self.metric.labels, labels).values()),)

    def _snapshot(self) -> list[tuple[Labels, Series]]:
        with self._lock:
            every = list(self._series.items())
            if self._overflow is not None:
                every.append((self._overflow_labels, self._overflow))
        return every

    def _empty(self) -> Samples:
        return empty(self.metric)

    @abstractmethod
    def _sample(self, samples: Samples, labels: dict[str, str], series: Series) -> None:
        """Add what a scrape shows of one series."""

    @abstractmethod
    def _write(self, lines: list[str], labels: tuple[str, ...], series: Series, *, is_openmetrics: bool) -> None:
        """The same, as text. `labels` is what `_label_texts` made."""


class CounterFamily(Family[Count]):
    def __init__(self, metric: Metric, limit: int = SERIES_LIMIT) -> None:
        super().__init__(metric, Count, limit)

    def _sample(self, samples: Samples, labels: dict[str, str], series: Count) -> None:
        exemplar = series.exemplar.with_value(1.0) if series.exemplar else None
        samples.add_sample(self.metric.name, labels, series.value, exemplar=exemplar)

    def _write(self, lines: list[str], labels: tuple[str, ...], series: Count, *, is_openmetrics: bool) -> None:
        exemplar = series.exemplar.text(1.0) if is_openmetrics and series.exemplar else ""
        lines.append(f"{self.metric.name}{{{labels[0]}}} {number(series.value)}{exemplar}\n")


class HistogramFamily(Family[Distribution]):
    def __init__(self, metric: Metric, limit: int = SERIES_LIMIT) -> None:
        super().__init__(metric, lambda: Distribution(metric.buckets), limit)
        self._bounds = [number(bound) for bound in (*metric.buckets, float("inf"))]

    def _sample(self, samples: Samples, labels: dict[str, str], series: Distribution) -> None:
        name, below = self.metric.name, 0
        for bound, count, seen in zip(self._bounds, series.counts.copy(), series.exemplars.copy(), strict=True):
            below += count
            exemplar = seen[1].with_value(seen[0]) if seen else None
            samples.add_sample(f"{name}_bucket", {**labels, "le": bound}, below, exemplar=exemplar)
        samples.add_sample(f"{name}_count", labels, below)
        samples.add_sample(f"{name}_sum", labels, series.total)

    def _label_texts(self, labels: Labels) -> tuple[str, ...]:
        """All of them, and those before and after `le`, which has its place among them."""
        texts = label_texts(self.metric.labels, labels)
        before = "".join(f"{text}," for label, text in texts.items() if label < "le")
        after = "".join(f",{text}" for label, text in texts.items() if label > "le")
        return ",".join(texts.values()), before, after

    def _write(self, lines: list[str], labels: tuple[str, ...], series: Distribution, *, is_openmetrics: bool) -> None:
        every, before, after = labels
        bucket, below = f"{self.metric.name}_bucket{{{before}", 0
        for bound, count, seen in zip(self._bounds, series.counts.copy(), series.exemplars.copy(), strict=True):
            below += count
            exemplar = seen[1].text(seen[0]) if is_openmetrics and seen else ""
            lines.append(f'{bucket}le="{bound}"{after}}} {number(below)}{exemplar}\n')
        lines.append(f"{self.metric.name}_count{{{every}}} {number(below)}\n")
        lines.append(f"{self.metric.name}_sum{{{every}}} {number(series.total)}\n")


class ScrapedGauge(Collector):
    """A gauge that nobody sets: `read` computes it at the scrape, on the scraping thread, from labels to value."""

    def __init__(self, metric: Metric, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        self.metric = metric
        self._read = read

    def describe(self) -> Iterable[Samples]:
        return (empty(self.metric),)

    def collect(self) -> Iterator[Samples]:
        samples = empty(self.metric)
        for labels, value in self._read().items():
            samples.add_sample(self.metric.name, dict(zip(self.metric.labels, labels, strict=True)), value)
        if samples.samples:
            yield samples

    def text(self, *, is_openmetrics: bool) -> str:
        """The part of a page that `collect` would become."""
        lines = [
            f"{self.metric.name}{{{','.join(label_texts(self.metric.labels, labels).values())}}} {number(value)}\n"
            for labels, value in self._read().items()
        ]
        return header(empty(self.metric), is_openmetrics=is_openmetrics) + "".join(lines) if lines else ""


def empty(metric: Metric) -> Samples:
    """The family's header. prometheus_client would append a unit that the name does not end with, so it is left out."""
    unit = metric.unit if metric.family.endswith(f"_{metric.unit}") else ""
    return Samples(metric.family, metric.help, metric.kind, unit)


def number(value: float) -> str:
    """As Go writes it, and prometheus_client after it: 1.0, +Inf, 1.5e+07."""
    if 0 <= value < INTEGERS_AS_THEY_ARE and value == int(value):
        return f"{int(value)}.0"
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
