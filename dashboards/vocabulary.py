"""docs/telemetry.md: what spans say, from the one table of names."""

from __future__ import annotations

from sidecar.telemetry.names import ATTRIBUTES, Attribute

HEAD = """# Telemetry: what spans say

Generated from `sidecar/telemetry/names.py` by `python -m dashboards`. Spans go where `tracing` says
([configuration](configuration.md#metrics-traces-logs)). [Metrics](metrics.md) count what spans tell one by one, and
link to them as exemplars.

Each exchange is one span, SERVER on an inbound route and CLIENT on an outbound one. Findings are its events, named
`sidecar.finding`. Payload content is in none of them.

| attribute | type | meaning |
|---|---|---|
"""


def page() -> str:
    """The Markdown of `docs/telemetry.md`."""
    return HEAD + "".join(map(row, ATTRIBUTES))


def row(attribute: Attribute) -> str:
    return f"| `{attribute.name}` | {attribute.type} | {attribute.help} |\n"
