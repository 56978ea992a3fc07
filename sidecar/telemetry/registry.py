"""The registry whose page takes milliseconds where there are tens of thousands of series.

prometheus_client makes an object of each sample, sorts and escapes its labels and writes a line, at each scrape: 20 µs
a series, and the calls of this process wait for it in turn. Our families keep the text of their labels and write their
lines themselves. What is written is the same, byte for byte; collectors of others are left to prometheus_client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Samples
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

Encode = Callable[[Collector], bytes]
OPENMETRICS = "application/openmetrics-text"
END = b"# EOF\n"
"""Of a page in OpenMetrics, and of nothing before it."""


@runtime_checkable
class Writer(Protocol):
    """A collector that writes its own lines."""

    def text(self, *, is_openmetrics: bool) -> str:
        """Its part of the page, with its header; empty where it has no series."""


class Registry(CollectorRegistry):
    """A CollectorRegistry that knows its collectors, in the order in which they came. Filled before it is served."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[Collector] = []
        """In the order of the page."""

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self.collectors.append(collector)

    def page(self, accept: str) -> tuple[bytes, str]:
        """What a scraper that accepts this is given, and its content type."""
        encode, content_type = choose_encoder(accept)
        if "escaping=dots" in content_type:  # it doubles underscores: nobody asks for it who can read our names
            return encode(self), content_type
        is_openmetrics = content_type.startswith(OPENMETRICS)
        parts = [part_of(each, encode, is_openmetrics=is_openmetrics) for each in self.collectors]
        return b"".join([*parts, END]) if is_openmetrics else b"".join(parts), content_type


def part_of(collector: Collector, encode: Encode, *, is_openmetrics: bool) -> bytes:
    if isinstance(collector, Writer):
        return collector.text(is_openmetrics=is_openmetrics).encode()
    return encode(collector).removesuffix(END)


def header(samples: Samples, *, is_openmetrics: bool) -> str:
    """HELP, TYPE and UNIT. Text 0.0.4 calls a family of counters by its sample, and has no infos."""
    if is_openmetrics:
        name, kind, unit = samples.name, samples.type, samples.unit
        told = escaped(samples.documentation)
    else:
        name = samples.name + {"counter": "_total", "info": "_info"}.get(samples.type, "")
        kind, unit = "gauge" if samples.type == "info" else samples.type, ""
        told = samples.documentation.replace("\\", r"\\").replace("\n", r"\n")
    lines = f"# HELP {name} {told}\n# TYPE {name} {kind}\n"
    return f"{lines}# UNIT {name} {unit}\n" if unit else lines


def label_texts(names: Iterable[str], values: Iterable[str]) -> dict[str, str]:
    """`name="value"` of each label, in the order in which a line has them."""
    return {name: f'{name}="{escaped(value)}"' for name, value in sorted(zip(names, values, strict=True))}


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
