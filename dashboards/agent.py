"""Agent: one agent from both sides, as it is called and as it calls."""

from __future__ import annotations

from dashboards.parts import NOTHING, Board, Query, Row, bars, choice, lines, number
from dashboards.promql import increase, most, quantile, rate, share
from sidecar.telemetry import names

CALLED = ('callee="$agent"', 'side="inbound"')
CALLS = ('caller="$agent"', 'side="outbound"')
NOT_OK = 'code!="OK"'
FAILED = (NOT_OK, 'decision!="reject"')
INTERVAL = "$__rate_interval"

NOW = Row(
    "Now",
    (
        number(
            "Is called",
            "Calls that this agent answered, per second.",
            Query(rate(names.EXCHANGES, "", *CALLED)),
            unit="reqps",
        ),
        number(
            "Its answers that failed",
            "Share of calls that it ended with another status than OK. Good: below 1 %.",
            Query(share(rate(names.EXCHANGES, "", *CALLED, *FAILED), rate(names.EXCHANGES, "", *CALLED))),
            unit="percentunit",
            limits=((0.01, "yellow"), (0.05, "red")),
        ),
        number(
            "Slowest twentieth",
            "95 of 100 of its answers were complete within this time. Good: well under its callers' deadlines.",
            Query(quantile(0.95, names.EXCHANGE_DURATION, "", *CALLED)),
            unit="s",
        ),
        number(
            "Calls others",
            "Calls that it made, per second, through its own sidecar.",
            Query(rate(names.EXCHANGES, "", *CALLS)),
            unit="reqps",
            empty="calls nobody through its sidecar",
        ),
        number(
            "Spent",
            "Money that its answers cost in the time above.",
            Query(increase(names.COST, "", 'agent="$agent"')),
            unit="currencyUSD",
            empty="no usage was told",
        ),
        number(
            "Stuck tasks",
            "Open tasks without progress. Good: 0.",
            Query(most(names.STUCK_TASKS, "", 'callee="$agent"')),
            limits=((1, "red"),),
            empty="follows no tasks",
        ),
    ),
)

RECEIVED = Row(
    "As it is called",
    (
        lines(
            "Calls by caller",
            "Good: the callers you know. `_unknown` is a caller that nothing proves.",
            Query(rate(names.EXCHANGES, "caller", *CALLED), "{{caller}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "By status",
            "How its calls ended. Good: OK, and what its callers know how to handle.",
            Query(rate(names.EXCHANGES, "code, decision", *CALLED), "{{code}} {{decision}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Time of an answer",
            "From the headers of a call to its status; points are single traces. Good: lines that keep their distance.",
            Query(quantile(0.5, names.EXCHANGE_DURATION, "", *CALLED), "p50", exemplars=True),
            Query(quantile(0.95, names.EXCHANGE_DURATION, "", *CALLED), "p95", exemplars=True),
            Query(quantile(0.99, names.EXCHANGE_DURATION, "", *CALLED), "p99", exemplars=True),
            unit="s",
        ),
        lines(
            "Time by method (p95)",
            "Good: each method keeps its level.",
            Query(quantile(0.95, names.EXCHANGE_DURATION, "method", *CALLED), "{{method}}", exemplars=True),
            unit="s",
        ),
        lines(
            "Messages",
            "Messages in and out, per second. Many answers to one request are a stream.",
            Query(rate(names.MESSAGES, "direction", *CALLED), "{{direction}}"),
            unit="mps",
        ),
        lines(
            "Under way, and the oldest",
            "Calls that have begun and not ended, and how long the oldest has waited, in seconds. Good: both come "
            "down again.",
            Query(most(names.INFLIGHT, "", 'callee="$agent"'), "under way"),
            Query(most(names.OLDEST_INFLIGHT, "", 'callee="$agent"'), "oldest (s)"),
            alerts=("OldestCall",),
        ),
        bars(
            "Findings",
            "What checks found on calls to it, and whether they were refused. Good: nothing new.",
            Query(
                increase(names.FINDINGS, "check, rule, action", 'callee="$agent"', over=INTERVAL),
                "{{check}} {{rule}} {{action}}",
            ),
            empty=NOTHING,
        ),
        bars(
            "Sent again, by origin",
            "Where calls that were sent again came from: `below` the same key, `above` a new key with the same "
            "arguments. `above` just past a deadline is a caller that gave up and asked anew.",
            Query(
                increase(names.RETRY_ORIGINS, "origin, near_deadline", 'callee="$agent"', over=INTERVAL),
                "{{origin}}, near a deadline: {{near_deadline}}",
            ),
            empty=NOTHING,
            alerts=("RetryStorm", "Herd"),
        ),
        bars(
            "Turned away, duplicates",
            "Calls refused for load, and requests whose key was taken.",
            Query(increase(names.SHED, "reason", 'callee="$agent"', over=INTERVAL), "turned away: {{reason}}"),
            Query(increase(names.DUPLICATES, "outcome", 'callee="$agent"', over=INTERVAL), "duplicate: {{outcome}}"),
            empty=NOTHING,
            alerts=("DuplicateExecuted",),
        ),
    ),
)

MADE = Row(
    "As it calls",
    (
        lines(
            "Calls by callee",
            "Calls that it made through its own sidecar. Good: the agents it needs, at the rate it is called.",
            Query(rate(names.EXCHANGES, "callee", *CALLS), "{{callee}}"),
            unit="reqps",
            stacked=True,
            empty="calls nobody through its sidecar",
        ),
        lines(
            "Failed, by callee and status",
            "Good: none. What fails here is what this agent had to cope with.",
            Query(f"{rate(names.EXCHANGES, 'callee, code', *CALLS, NOT_OK)} > 0", "{{callee}} {{code}}"),
            unit="reqps",
            empty=NOTHING,
        ),
        lines(
            "Time by callee (p95)",
            "How long it waits for others. Good: below its own time, and the slowest of them explains it.",
            Query(quantile(0.95, names.EXCHANGE_DURATION, "callee", *CALLS), "{{callee}}", exemplars=True),
            unit="s",
            empty="calls nobody through its sidecar",
        ),
        bars(
            "Loops it is part of",
            "Requests past a loop limit, by kind and by what was done. Good: none.",
            Query(
                increase(names.LOOPS, "kind, callee, action", 'caller="$agent"', over=INTERVAL),
                "{{kind}} → {{callee}} {{action}}",
            ),
            empty=NOTHING,
            alerts=("LoopDetected", "RunawayLoop"),
        ),
        bars(
            "Calls it sent again",
            "Good: few and scattered.",
            Query(increase(names.RETRIES, "callee", 'caller="$agent"', over=INTERVAL), "{{callee}}"),
            empty=NOTHING,
        ),
    ),
)

WORK = Row(
    "Tasks and money",
    (
        lines(
            "Tasks by state",
            "Tasks seen within a week, by the state they were last seen in. Good: open states come down again.",
            Query(most(names.TASKS, "state", 'callee="$agent"'), "{{state}}"),
            stacked=True,
            empty="follows no tasks",
            alerts=("StuckTasks",),
        ),
        bars(
            "Steps of tasks",
            "From one state to another. Good: all legal; a step that is not takes an end back.",
            Query(
                increase(names.TASK_TRANSITIONS, "from, to, legal", 'callee="$agent"', over=INTERVAL),
                "{{from}} → {{to}} legal: {{legal}}",
            ),
            empty="follows no tasks",
        ),
        bars(
            "Spent by model",
            "Money that its answers cost. Good: follows the calls.",
            Query(increase(names.COST, "model, source", 'agent="$agent"', over=INTERVAL), "{{model}} {{source}}"),
            unit="currencyUSD",
            empty="no usage was told",
            alerts=("CostBurnRate",),
        ),
        bars(
            "Tokens",
            "Tokens that its answers used, by model. Input that climbs while calls do not is a conversation that "
            "grows.",
            Query(increase(names.TOKENS, "model, type", 'agent="$agent"', over=INTERVAL), "{{model}} {{type}}"),
            empty="no usage was told",
        ),
    ),
)

BOARD = Board(
    name="agent",
    title="Agent",
    description="One agent from both sides: as it is called, by its own sidecar, and as it calls others.",
    variables=(
        choice(
            "agent",
            "Agent",
            'label_values(sidecar_exchanges_total{job=~"$job", instance=~"$instance", side="inbound"}, callee)',
            "The agent to look at.",
            multi=False,
        ),
    ),
    rows=(NOW, RECEIVED, MADE, WORK),
)
