"""Fleet: who talks to whom, how often, how well, and what sidecars decided."""

from __future__ import annotations

from dashboards.parts import (
    NOTHING,
    Board,
    Column,
    Query,
    Row,
    bars,
    choice,
    edges,
    graph,
    lines,
    number,
    rows_of,
    side,
    to_agent,
)
from dashboards.promql import increase, most, quantile, rate, selector, share
from sidecar.telemetry import names

SIDE = 'side="$side"'
AGENT = 'callee=~"$agent"'
NOT_OK = 'code!="OK"'
FAILED = (NOT_OK, 'decision!="reject"')
REFUSED = 'decision="reject"'
FIRED = 'ALERTS{alertname=~"Sidecar.+"}'
CALLS = rate(names.EXCHANGES, "", SIDE, AGENT)


def calls(by: str, *matchers: str, over: str = "$__rate_interval") -> str:
    return rate(names.EXCHANGES, by, SIDE, AGENT, *matchers, over=over)


def edge_calls(*matchers: str) -> str:
    return calls("caller, callee", *matchers, over="$__range")


NOW = Row(
    "Now",
    (
        number(
            "Sidecars",
            "Sidecars that Prometheus reaches. Good: as many as you run. Fewer is an agent without its guard.",
            Query(f"count({selector(names.BUILD)})"),
            alerts=("Down", "Absent"),
        ),
        number(
            "Calls",
            "Calls that ended, per second. A fall to nothing in working hours is as telling as a peak.",
            Query(CALLS),
            unit="reqps",
        ),
        number(
            "Failed",
            "Share of calls that ended with another status than OK and were not refused by a sidecar. Good: below 1 %.",
            Query(share(calls("", *FAILED), CALLS)),
            unit="percentunit",
            limits=((0.01, "yellow"), (0.05, "red")),
        ),
        number(
            "Refused",
            "Share of calls that a sidecar refused. Good: low and steady. A step up says that an agent has changed, "
            "or a spec.",
            Query(share(calls("", REFUSED), CALLS)),
            unit="percentunit",
            limits=((0.01, "yellow"), (0.1, "red")),
        ),
        number(
            "Slowest twentieth",
            "95 of 100 calls ended within this time. Good: well under the deadlines that callers set.",
            Query(quantile(0.95, names.EXCHANGE_DURATION, "", SIDE, AGENT)),
            unit="s",
        ),
        number(
            "Alerts",
            "Alerts of the sidecars that fire now. Good: 0. Each has a runbook in docs/runbooks.",
            Query('count(ALERTS{alertname=~"Sidecar.+", alertstate="firing"}) or vector(0)'),
            limits=((1, "red"),),
        ),
    ),
)

ALERTS = Row(
    "Alerts",
    (
        rows_of(
            "Alerts in this time",
            "Alerts of the sidecars that were pending or fired in the time above. Good: none. The link at the top "
            "leads to the runbooks: one page for each, named like the alert.",
            Query(f"max by (alertname, severity, alertstate) (max_over_time({FIRED}[$__range]))", "was there"),
            width=24,
            height=5,
            empty=NOTHING,
        ),
    ),
)

TOPOLOGY = Row(
    "Who talks to whom",
    (
        graph(
            "Topology",
            "Each agent that called or was called in the time above, an arrow for each edge. The figure is calls per "
            "second, and below it those that failed or were refused. Good: the arrows that you drew when you planned "
            "the fleet, and no `_unknown`, which is a caller that nothing proves.",
            Query(edges(f"{edge_calls()} > 0")),
            Query(edges(f"{edge_calls(NOT_OK)} and {edge_calls()} > 0")),
            unit="reqps",
        ),
        rows_of(
            "Edges",
            "The same edges as a table, busiest first; an agent's name leads to its board. Good: no edge with a share "
            "of failures that the others do not have.",
            Query(f"{edge_calls()} > 0", "calls"),
            Query(share(edge_calls(*FAILED), edge_calls()), "failed"),
            Query(share(edge_calls(REFUSED), edge_calls()), "refused"),
            Query(quantile(0.95, names.EXCHANGE_DURATION, "caller, callee", SIDE, AGENT, over="$__range"), "p95"),
            height=14,
            columns={
                "caller": Column(link=to_agent()),
                "callee": Column(link=to_agent()),
                "Value #A": Column(unit="reqps"),
                "Value #B": Column(unit="percentunit", limits=((0.01, "orange"), (0.05, "red"))),
                "Value #C": Column(unit="percentunit", limits=((0.01, "orange"), (0.1, "red"))),
                "Value #D": Column(unit="s"),
            },
        ),
    ),
)

TRAFFIC = Row(
    "Rate, errors, time",
    (
        lines(
            "Calls by callee",
            "Calls that ended, per second. Good: the shape of your day. One agent that climbs alone is called by a "
            "loop or a herd.",
            Query(calls("callee"), "{{callee}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Failed, by callee and status",
            "Calls that ended with another status than OK, refusals apart. Good: nothing but what callers handle, "
            "such as NOT_FOUND.",
            Query(f"{calls('callee, code', *FAILED)} > 0", "{{callee}} {{code}}"),
            unit="reqps",
            empty=NOTHING,
        ),
        lines(
            "Time of a call",
            "From the headers of a call to its status; points are single traces. Good: lines that keep their "
            "distance. Where p99 leaves p50, some calls wait for something that others do not need.",
            Query(quantile(0.5, names.EXCHANGE_DURATION, "", SIDE, AGENT), "p50", exemplars=True),
            Query(quantile(0.95, names.EXCHANGE_DURATION, "", SIDE, AGENT), "p95", exemplars=True),
            Query(quantile(0.99, names.EXCHANGE_DURATION, "", SIDE, AGENT), "p99", exemplars=True),
            unit="s",
        ),
        lines(
            "Time by callee (p95)",
            "Good: each agent has its own level and keeps it.",
            Query(quantile(0.95, names.EXCHANGE_DURATION, "callee", SIDE, AGENT), "{{callee}}", exemplars=True),
            unit="s",
        ),
        lines(
            "Under way",
            "Calls that have begun and not ended. Good: goes up and down with the calls. A line that only climbs is "
            "work that never ends.",
            Query(most(names.INFLIGHT, "callee", AGENT), "{{callee}}"),
        ),
        lines(
            "Oldest call under way",
            "Good: saw teeth below your deadlines. A straight climb is one call that nobody ends.",
            Query(most(names.OLDEST_INFLIGHT, "callee", AGENT), "{{callee}}"),
            unit="s",
            alerts=("OldestCall",),
        ),
    ),
)

DECISIONS = Row(
    "Decisions",
    (
        lines(
            "By decision",
            "What sidecars did with calls: forward, reject, or replay from the record. Good: nearly all is forward.",
            Query(calls("decision"), "{{decision}}"),
            unit="reqps",
            stacked=True,
        ),
        bars(
            "Refusals by rule",
            "Findings for which a call was refused. One rule that stands out is one cause: a caller that changed, or "
            "a spec.",
            Query(
                increase(names.FINDINGS, "check, rule", AGENT, 'action="rejected"', over="$__rate_interval"),
                "{{check}} {{rule}}",
            ),
            empty=NOTHING,
        ),
        bars(
            "Findings that stopped nothing",
            "Findings in observe, and warnings. Good: few. Read them before you enforce: each would be a refusal.",
            Query(
                increase(names.FINDINGS, "check, rule", AGENT, 'action!="rejected"', over="$__rate_interval"),
                "{{check}} {{rule}}",
            ),
            empty=NOTHING,
        ),
        bars(
            "Turned away for load",
            "Calls refused because too much was asked, by the rule that said so. Good: none; a few at a peak are what "
            "limits are for.",
            Query(increase(names.SHED, "callee, reason", AGENT, over="$__rate_interval"), "{{callee}} {{reason}}"),
            empty=NOTHING,
        ),
        bars(
            "Duplicates",
            "Requests whose key was taken: `replayed` and `waited` got the first answer. Good: few, and no `conflict` "
            "or `unknown`.",
            Query(
                increase(names.DUPLICATES, "callee, outcome", AGENT, over="$__rate_interval"), "{{callee}} {{outcome}}"
            ),
            empty=NOTHING,
            alerts=("DuplicateExecuted",),
        ),
        bars(
            "Sent again",
            "Retries by edge. Good: few and scattered. All at once is a storm: see who began.",
            Query(increase(names.RETRIES, "caller, callee", AGENT, over="$__rate_interval"), "{{caller}} → {{callee}}"),
            empty=NOTHING,
            alerts=("RetryStorm", "Herd"),
        ),
    ),
)

STATE = Row(
    "State",
    (
        lines(
            "Traces joined",
            "How calls were joined to their cause. Good: `propagated` and `ids`; `root` only where people begin. "
            "`ambiguous` are calls whose cause cannot be told.",
            Query(rate(names.TRACE_JOINS, "how", SIDE), "{{how}}"),
            unit="reqps",
            stacked=True,
            alerts=("BrokenTraces",),
        ),
        lines(
            "Stuck tasks",
            "Open tasks without progress for longer than `tasks.stuck_after`. Good: 0.",
            Query(most(names.STUCK_TASKS, "callee", AGENT), "{{callee}}"),
            empty=NOTHING,
            alerts=("StuckTasks",),
        ),
        bars(
            "Stale reads, lost updates",
            "Reads older than what their agent knew, and writes on an overwritten version. Good: none; a lost update "
            "is lost work.",
            Query(increase(names.STALE_READS, "resource", over="$__rate_interval"), "{{resource}} read"),
            Query(increase(names.LOST_UPDATES, "resource", over="$__rate_interval"), "{{resource}} written"),
            empty=NOTHING,
            alerts=("StaleReads", "LostUpdates"),
        ),
        lines(
            "Breakers open",
            "1 while an agent or a verifier is left alone because it failed. Good: 0.",
            Query(most(names.BREAKER_OPEN, "target"), "{{target}}"),
            empty=NOTHING,
            alerts=("VerifierDown",),
        ),
        lines(
            "Edges held back",
            "Edges in quarantine after an answer that failed its verdict. Good: 0.",
            Query(f"sum ({selector(names.QUARANTINED)})", "edges"),
        ),
        bars(
            "Went on unjudged",
            "What passed although a check could not judge it. Good: none. Each is a call without its guard.",
            Query(increase(names.FAIL_OPEN, "check, reason", over="$__rate_interval"), "{{check}} {{reason}}"),
            empty=NOTHING,
            alerts=("FailOpen",),
        ),
    ),
)

BOARD = Board(
    name="fleet",
    title="Fleet",
    description="Who talks to whom, how often and how well, and what the sidecars decided. Begin here.",
    variables=(
        side("inbound"),
        choice(
            "agent",
            "Agent",
            'label_values(sidecar_exchanges_total{job=~"$job", instance=~"$instance"}, callee)',
            "Called agents.",
        ),
    ),
    rows=(NOW, TOPOLOGY, ALERTS, TRAFFIC, DECISIONS, STATE),
)
