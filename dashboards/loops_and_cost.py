"""Loops and cost: where money goes, what is left of it, and work that goes round in circles."""

from __future__ import annotations

from dashboards.parts import NOTHING, Board, Column, Query, Row, bars, choice, gauges, lines, number, rows_of, to_agent
from dashboards.promql import increase, most, rate, share
from sidecar.telemetry import names

AGENT = 'agent=~"$agent"'
INTERVAL = "$__rate_interval"
NO_USAGE = "no usage was told"
NO_BUDGET = "no budget is configured"
USED = most(names.BUDGET_USED_MAX, "budget")
SPENT = increase(names.COST, "", AGENT)

NOW = Row(
    "Now",
    (
        number(
            "Spent",
            "Money spent in the time above. Callees report tokens or money; prices make money of tokens.",
            Query(SPENT),
            unit="currencyUSD",
            empty=NO_USAGE,
        ),
        number(
            "Spent per hour",
            "At the rate of the last minutes. Good: what you expect at this time of day; a slow burn shows no peak.",
            Query(f"3600 * {rate(names.COST, '', AGENT)}"),
            unit="currencyUSD",
            empty=NO_USAGE,
        ),
        number(
            "Wasted",
            "Share of money spent on calls that led nowhere. Good: below 5 %.",
            Query(share(increase(names.WASTED_COST, ""), increase(names.COST, ""))),
            unit="percentunit",
            limits=((0.05, "yellow"), (0.2, "red")),
            empty=NO_USAGE,
        ),
        number(
            "Without a price",
            "Calls to models that have no price, in the time above. Good: 0. Each is money that nobody counts.",
            Query(increase(names.UNPRICED_CALLS, "", AGENT)),
            limits=((1, "red"),),
            empty=NOTHING,
        ),
        number(
            "Fullest budget",
            "Share used of the fullest purse of all budgets. Good: below 80 %.",
            Query(most(names.BUDGET_USED_MAX, "")),
            unit="percentunit",
            limits=((0.8, "yellow"), (1, "red")),
            empty=NO_BUDGET,
        ),
        number(
            "Loops",
            "Requests past a loop limit in the time above. Good: 0.",
            Query(increase(names.LOOPS, "")),
            limits=((1, "red"),),
            empty=NOTHING,
        ),
    ),
)

SPEND = Row(
    "Spend",
    (
        bars(
            "By agent",
            "Money by the agent whose answers cost it. Good: the agents you expect, in proportion to their work.",
            Query(increase(names.COST, "agent", AGENT, over=INTERVAL), "{{agent}}"),
            unit="currencyUSD",
            empty=NO_USAGE,
            alerts=("CostBurnRate",),
        ),
        bars(
            "By model",
            "Good: the models you chose. An expensive one that climbs is worth a look at who asks for it.",
            Query(increase(names.COST, "model", AGENT, over=INTERVAL), "{{model}}"),
            unit="currencyUSD",
            empty=NO_USAGE,
        ),
        bars(
            "By source",
            "`reported` by the callee, `estimated` from tokens, or `unknown`. Good: no unknown: a cap on what nobody "
            "prices caps nothing.",
            Query(increase(names.COST, "source", AGENT, over=INTERVAL), "{{source}}"),
            unit="currencyUSD",
            empty=NO_USAGE,
        ),
        rows_of(
            "Most expensive edges",
            "Money by who asked whom, in the time above. An agent's name leads to its board.",
            Query(f"topk(20, {increase(names.EDGE_COST, 'caller, callee')} > 0)", "spent"),
            columns={
                "caller": Column(link=to_agent()),
                "callee": Column(link=to_agent()),
                "Value": Column(unit="currencyUSD"),
            },
            empty=NO_USAGE,
        ),
        rows_of(
            "Most expensive models",
            "Money and tokens by agent and model, in the time above.",
            Query(f"{increase(names.COST, 'agent, model', AGENT)} > 0", "spent"),
            Query(f"{increase(names.TOKENS, 'agent, model', AGENT)} > 0", "tokens"),
            columns={"Value #A": Column(unit="currencyUSD"), "Value #B": Column(unit="short")},
            empty=NO_USAGE,
        ),
        bars(
            "Tokens",
            "By type. Input that climbs while calls do not is a conversation that grows.",
            Query(increase(names.TOKENS, "type", AGENT, over=INTERVAL), "{{type}}"),
            empty=NO_USAGE,
        ),
        bars(
            "Wasted, by reason",
            "Money for calls that led nowhere: refused answers, loops, duplicates, retries, failures. Good: little, "
            "and no reason alone.",
            Query(increase(names.WASTED_COST, "reason", over=INTERVAL), "{{reason}}"),
            unit="currencyUSD",
        ),
        bars(
            "Without a price",
            "Calls to models without a price, by agent and model. Good: none; `sidecar prices` says how to give one.",
            Query(increase(names.UNPRICED_CALLS, "agent, model", AGENT, over=INTERVAL), "{{agent}} {{model}}"),
            empty=NOTHING,
            alerts=("UnpricedCalls",),
        ),
    ),
)

BUDGETS = Row(
    "Budgets",
    (
        gauges(
            "Used of the fullest purse",
            "A budget has a purse for each conversation, agent or edge; this is the fullest of each. Good: green.",
            Query(
                f"{USED} * on (budget) group_left (scope) {most(names.BUDGET, 'budget, scope')}",
                "{{budget}} ({{scope}})",
            ),
            unit="percentunit",
            limits=((0.8, "orange"), (1, "red")),
            most=1,
            empty=NO_BUDGET,
            alerts=("BudgetNearlySpent", "BudgetExhausted"),
        ),
        lines(
            "Left in the fullest purse",
            "What the fullest purse of each budget still allows. Good: does not come near 0.",
            Query(
                f"{most(names.BUDGET_LIMIT, 'budget')} * (1 - {USED})",
                "{{budget}}",
            ),
            unit="currencyUSD",
            empty=NO_BUDGET,
        ),
        bars(
            "What happened to budgets",
            "Good: nothing but `sliced`. `refused` are calls that were not made for want of money; `exceeded` would "
            "have been.",
            Query(f"{increase(names.BUDGET_EVENTS, 'budget, event', over=INTERVAL)}", "{{budget}} {{event}}"),
            empty=NO_BUDGET,
            alerts=("ConversationBudgetNearlySpent", "ConversationBudgetExhausted"),
        ),
    ),
)

LOOPS = Row(
    "Loops",
    (
        bars(
            "By kind",
            "Requests past a loop limit: repeats, drifts, cycles, depth, reentry. Good: none.",
            Query(increase(names.LOOPS, "kind", over=INTERVAL), "{{kind}}"),
            empty=NOTHING,
            alerts=("LoopDetected",),
        ),
        bars(
            "By what was done",
            "`rejected` was broken off; `observed` went on. A loop that goes on after a break is a runaway.",
            Query(increase(names.LOOPS, "action", over=INTERVAL), "{{action}}"),
            empty=NOTHING,
            alerts=("RunawayLoop",),
        ),
        rows_of(
            "Edges in a loop",
            "Where loops were found in the time above.",
            Query(f"{increase(names.LOOPS, 'kind, caller, callee, action')} > 0", "requests"),
            columns={"caller": Column(link=to_agent()), "callee": Column(link=to_agent())},
            width=8,
            empty=NOTHING,
        ),
    ),
)

BOARD = Board(
    name="loops-and-cost",
    title="Loops and cost",
    description="Where money goes, what is left of budgets, and work that goes round in circles.",
    variables=(
        choice(
            "agent",
            "Agent",
            'label_values(sidecar_cost_usd_total{job=~"$job", instance=~"$instance"}, agent)',
            "Who is charged: the agent whose answers cost money, or `verifier:NAME`.",
        ),
    ),
    rows=(NOW, SPEND, BUDGETS, LOOPS),
    range="now-6h",
)
