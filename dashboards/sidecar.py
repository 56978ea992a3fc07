"""Sidecar: what the sidecars themselves cost and lose."""

from __future__ import annotations

from dashboards.parts import NOTHING, Board, Query, Row, bars, lines, number, rows_of
from dashboards.promql import HERE, increase, quantile, rate, rate_of_count, selector, share
from sidecar.telemetry import names

INTERVAL = "$__rate_interval"
MEMORY_ONLY = "no shared store is configured"

NOW = Row(
    "Now",
    (
        number(
            "Up",
            "Share of sidecars that answer a scrape. Good: 1.",
            Query(f"avg (up{{{HERE}}})"),
            unit="percentunit",
            alerts=("Down", "Absent"),
        ),
        number(
            "Added time",
            "Median time that a sidecar held the messages of a call. Good: around a millisecond; checks that ask "
            "verifiers or a store take as long as those.",
            Query(quantile(0.5, names.OVERHEAD_DURATION, "")),
            unit="s",
            limits=((0.005, "yellow"), (0.05, "red")),
        ),
        number(
            "CPU",
            "Cores in use, all sidecars together.",
            Query(f"sum (rate(process_cpu_seconds_total{{{HERE}}}[{INTERVAL}]))"),
            unit="cores",
        ),
        number(
            "Memory",
            "Of the largest sidecar. Good: flat after an hour of work: nothing grows without end.",
            Query(f"max (process_resident_memory_bytes{{{HERE}}})"),
            unit="bytes",
        ),
        number(
            "Spans lost",
            "Share of spans that were dropped or failed at the receiver. Good: 0.",
            Query(share(rate(names.SPANS, "", 'outcome!="exported"'), rate(names.SPANS, ""))),
            unit="percentunit",
            limits=((0.001, "yellow"), (0.05, "red")),
        ),
        number(
            "Went on unjudged",
            "Calls that passed in the time above although a check could not judge them. Good: 0.",
            Query(increase(names.FAIL_OPEN, "")),
            limits=((1, "red"),),
            empty=NOTHING,
        ),
    ),
)

OVERHEAD = Row(
    "Overhead",
    (
        lines(
            "Added time",
            "Time that the engine held the messages of a call; points are single traces. Good: p50 around a "
            "millisecond. p99 has what waited for verifiers, stores and first answers.",
            Query(quantile(0.5, names.OVERHEAD_DURATION, ""), "p50", exemplars=True),
            Query(quantile(0.9, names.OVERHEAD_DURATION, ""), "p90", exemplars=True),
            Query(quantile(0.99, names.OVERHEAD_DURATION, ""), "p99", exemplars=True),
            unit="s",
            alerts=("OverheadHigh",),
        ),
        lines(
            "Added time by method (p90)",
            "Good: alike, unless a spec asks more of one.",
            Query(quantile(0.9, names.OVERHEAD_DURATION, "method"), "{{method}}", exemplars=True),
            unit="s",
        ),
        lines(
            "Waited on purpose",
            "Mean time of a call that a check waited on purpose: for verifiers, for the first answer to the same "
            "call, to slow a loop. What is added beyond it is the sidecar's own doing. Good: what your verifiers "
            "take, times their share.",
            Query(f"{rate(names.WAITED, 'method')} / {rate_of_count(names.OVERHEAD_DURATION, 'method')}", "{{method}}"),
            unit="s",
            empty="no check waited",
        ),
        lines(
            "CPU by sidecar",
            "Cores. One process uses one core at most. Good: below 0.7; near 1 its calls wait for it.",
            Query(f"rate(process_cpu_seconds_total{{{HERE}}}[{INTERVAL}])", "{{instance}}"),
            unit="cores",
            limits=((0.7, "yellow"), (0.9, "red")),
        ),
        lines(
            "Size of messages (p99)",
            "Payload bytes, by direction. Checks cost by the byte.",
            Query(
                quantile(0.99, names.MESSAGE_SIZE, "direction", 'side=~"inbound|outbound"'),
                "{{direction}}",
            ),
            unit="bytes",
        ),
        lines(
            "Memory by sidecar",
            "Resident memory. Good: flat after an hour of work. docs/operating.md says what is bounded, and by how "
            "much.",
            Query(f"process_resident_memory_bytes{{{HERE}}}", "{{instance}}"),
            unit="bytes",
        ),
        lines(
            "Files open by sidecar",
            "Good: flat. A climb is connections that nobody closes.",
            Query(f"process_open_fds{{{HERE}}}", "{{instance}}"),
        ),
    ),
)

EXPORT = Row(
    "Spans, traces, journal",
    (
        lines(
            "Spans",
            "Good: exported, and nothing else. `dropped` means that the queue was full, `failed` that the receiver "
            "took none.",
            Query(rate(names.SPANS, "outcome"), "{{outcome}}"),
            unit="cps",
            alerts=("SpansLost",),
        ),
        bars(
            "Lineage that was not believed",
            "Entries dropped: forged, expired, for another callee, malformed, unsigned, of another trace. Good: none; "
            "`unsigned` is a sidecar without the common key.",
            Query(increase(names.LINEAGE_REJECTED, "reason", over=INTERVAL), "{{reason}}"),
            empty=NOTHING,
        ),
        lines(
            "Journal",
            "Entries written or lost. Good: written, and nothing else.",
            Query(rate(names.JOURNAL_EVENTS, "outcome"), "{{outcome}}"),
            unit="cps",
            empty="no journal is configured",
            alerts=("JournalLosing",),
        ),
    ),
)

STORE = Row(
    "Store",
    (
        lines(
            "Away",
            "1 while the shared store does not answer. Good: 0. Meanwhile `consistency` in each spec decides.",
            Query(f"max by (instance, store) ({selector(names.STORE_AWAY)})", "{{instance}} {{store}}"),
            empty=MEMORY_ONLY,
            alerts=("StoreAway",),
        ),
        bars(
            "Verbs that failed",
            "Good: none.",
            Query(increase(names.STORE_ERRORS, "store, operation", over=INTERVAL), "{{store}} {{operation}}"),
            empty=NOTHING,
        ),
        bars(
            "Went on without the store",
            "What passed on a sidecar's own state because the store was away, by check. Good: none.",
            Query(increase(names.FAIL_OPEN, "check", 'reason="store_away"', over=INTERVAL), "{{check}}"),
            empty=NOTHING,
            alerts=("FailOpen",),
        ),
        bars(
            "Lost by the store",
            "Times that the store had lost what it once acknowledged. Good: 0: see docs/stores.md.",
            Query(increase(names.STORE_LOSSES, "store, outcome", over=INTERVAL), "{{store}} {{outcome}}"),
            empty=MEMORY_ONLY,
            alerts=("StoreLostWrites",),
        ),
        bars(
            "Reloads",
            "Of spec files, the price list, certificates, keys and tokens. Good: no `refused`: the last good one is "
            "kept.",
            Query(increase(names.SPEC_RELOADS, "outcome", over=INTERVAL), "specs {{outcome}}"),
            Query(increase(names.PRICE_RELOADS, "outcome", over=INTERVAL), "prices {{outcome}}"),
            Query(increase(names.SECRET_RELOADS, "what, outcome", over=INTERVAL), "{{what}} {{outcome}}"),
        ),
    ),
)

SCRAPE = Row(
    "Series and scrapes",
    (
        lines(
            "Series by sidecar",
            "Samples of one scrape. Good: flat. docs/metrics.md has the bound; what is over it is counted under "
            "`_other`.",
            Query(f"scrape_samples_scraped{{{HERE}}}", "{{instance}}"),
        ),
        lines(
            "Time of a scrape",
            "Good: below a second.",
            Query(f"scrape_duration_seconds{{{HERE}}}", "{{instance}}"),
            unit="s",
            limits=((1, "red"),),
        ),
        rows_of(
            "Versions",
            "Good: one version, but for the time of a roll-out.",
            Query(f"count by (version, python) ({selector(names.BUILD)})", "sidecars"),
            width=8,
        ),
    ),
)

BOARD = Board(
    name="sidecar",
    title="Sidecar",
    description="What the sidecars themselves cost and lose: time, CPU, memory, spans, journal, store, series.",
    rows=(NOW, OVERHEAD, EXPORT, STORE, SCRAPE),
)
