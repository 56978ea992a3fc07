"""Verification: what verifiers say and how far they can be relied on, and which promises of specs are broken."""

from __future__ import annotations

from dashboards.parts import NOTHING, Board, Column, Query, Row, bars, choice, lines, number, rows_of, to_agent
from dashboards.promql import increase, most, quantile, rate, selector, share
from sidecar.telemetry import names

VERIFIER = 'verifier=~"$verifier"'
AGENT = 'callee=~"$agent"'
JUDGED = 'verdict=~"pass|fail"'
FAIL = 'verdict="fail"'
BROKEN = 'check=~"spec|stream|verification"'
BOTH_SIDES = 'side=~"inbound|outbound"'
"""Each on its own: nothing is added up over them."""
INTERVAL = "$__rate_interval"
NONE_ASKED = "no verifier was asked"


violations = rate(names.VIOLATIONS, "callee, check, side", AGENT, BOTH_SIDES)
exchanges = rate(names.EXCHANGES, "callee, side", AGENT, BOTH_SIDES)


def verdicts(by: str, *matchers: str, over: str = "$__range") -> str:
    return increase(names.VERDICTS, by, VERIFIER, *matchers, over=over)


VERIFIERS_MONEY = 'agent=~"verifier:($verifier)"'
SPENT = f"increase({selector(names.COST, VERIFIERS_MONEY)}[$__range])"
COST = f'sum by (verifier) (label_replace({SPENT}, "verifier", "$1", "agent", "verifier:(.+)"))'
"""Money is told of `verifier:NAME`, verdicts of `NAME`."""

NOW = Row(
    "Now",
    (
        number(
            "Verdicts",
            "Verdicts given, per second.",
            Query(rate(names.VERDICTS, "", VERIFIER)),
            unit="reqps",
            empty=NONE_ASKED,
        ),
        number(
            "Failed verdicts",
            "Share of verdicts that say fail. Good: low and steady. A jump is an agent that got worse, or a verifier "
            "that did.",
            Query(share(verdicts("", FAIL), verdicts(""))),
            unit="percentunit",
            limits=((0.05, "yellow"), (0.2, "red")),
            empty=NONE_ASKED,
        ),
        number(
            "Coverage",
            "Share of verdicts that say pass or fail. The rest is doubt: silence, a crash, or a verifier that could "
            "not tell. Good: above 95 %.",
            Query(share(verdicts("", JUDGED), verdicts(""))),
            unit="percentunit",
            empty=NONE_ASKED,
        ),
        number(
            "Dissent",
            "Share of verdicts that differ from their panel's. Good: some. None at all says that one verifier would "
            "do; much, that one of them is wrong.",
            Query(share(increase(names.VERIFIER_DISSENT, "", VERIFIER), verdicts(""))),
            unit="percentunit",
            limits=((0.2, "yellow"), (0.4, "red")),
            empty=NONE_ASKED,
        ),
        number(
            "Broken promises",
            "Findings of specs and streams that are errors, in the time above. Good: 0.",
            Query(increase(names.FINDINGS, "", AGENT, 'check=~"spec|stream"', 'severity="error"')),
            limits=((1, "red"),),
            empty=NOTHING,
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

VERDICTS = Row(
    "Verdicts",
    (
        lines(
            "By verdict",
            "Good: mostly pass; inconclusive stays thin.",
            Query(rate(names.VERDICTS, "verdict", VERIFIER), "{{verdict}}"),
            unit="reqps",
            stacked=True,
            empty=NONE_ASKED,
        ),
        lines(
            "Share of fail, by verifier",
            "Good: each verifier keeps its level. One that jumps alone is itself the change.",
            Query(
                share(rate(names.VERDICTS, "verifier", VERIFIER, FAIL), rate(names.VERDICTS, "verifier", VERIFIER)),
                "{{verifier}}",
            ),
            unit="percentunit",
            empty=NONE_ASKED,
            alerts=("VerdictFailures",),
        ),
        lines(
            "Share of doubt, by verifier",
            "Inconclusive verdicts: silence, crashes, nonsense and honest doubt. Good: near 0. At 1 a verifier is "
            "down.",
            Query(
                share(
                    rate(names.VERDICTS, "verifier", VERIFIER, 'verdict="inconclusive"'),
                    rate(names.VERDICTS, "verifier", VERIFIER),
                ),
                "{{verifier}}",
            ),
            unit="percentunit",
            empty=NONE_ASKED,
            alerts=("VerifierDown",),
        ),
        lines(
            "Dissent, by verifier",
            "Verdicts per second that differ from the panel's. Good: low, and no verifier alone.",
            Query(rate(names.VERIFIER_DISSENT, "verifier", VERIFIER), "{{verifier}}"),
            unit="reqps",
            empty=NONE_ASKED,
            alerts=("VerifierDissent",),
        ),
        lines(
            "Time until it answered (p95)",
            "Good: well under each verifier's timeout: past that it is doubt, and the answer has waited for nothing.",
            Query(quantile(0.95, names.VERIFIER_DURATION, "verifier", VERIFIER), "{{verifier}}"),
            unit="s",
            width=8,
            empty=NONE_ASKED,
        ),
        bars(
            "Why there was no verdict",
            "Usable answers that did not come, by verifier and reason. Good: none; `declined` is a verifier that says "
            "it cannot judge.",
            Query(
                increase(names.VERIFIER_FAILURES, "verifier, reason", VERIFIER, over=INTERVAL),
                "{{verifier}} {{reason}}",
            ),
            empty=NOTHING,
            alerts=("VerifierDown",),
        ),
        lines(
            "Left alone",
            "1 while a verifier's circuit breaker is open. Good: 0.",
            Query(most(names.BREAKER_OPEN, "target", 'target=~"verifier:($verifier)"'), "{{target}}"),
            empty=NONE_ASKED,
            alerts=("VerifierDown",),
        ),
    ),
)

SCORECARDS = Row(
    "Scorecards",
    (
        rows_of(
            "Verifiers",
            "Each verifier over the time above. Good: coverage near 1, some dissent, time well under the timeout. How "
            "often it is right is not to be seen here: its published scores say so (docs/verifiers.md).",
            Query(verdicts("verifier"), "verdicts"),
            Query(f"{verdicts('verifier', FAIL)} / {verdicts('verifier')}", "fail"),
            Query(f"{verdicts('verifier', JUDGED)} / {verdicts('verifier')}", "coverage"),
            Query(f"{increase(names.VERIFIER_DISSENT, 'verifier', VERIFIER)} / {verdicts('verifier')}", "dissent"),
            Query(quantile(0.95, names.VERIFIER_DURATION, "verifier", VERIFIER, over="$__range"), "p95"),
            Query(f"{COST} or 0 * {verdicts('verifier')}", "cost"),
            width=24,
            columns={
                "Value #A": Column(unit="short"),
                "Value #B": Column(unit="percentunit"),
                "Value #C": Column(unit="percentunit"),
                "Value #D": Column(unit="percentunit", limits=((0.2, "orange"), (0.4, "red"))),
                "Value #E": Column(unit="s"),
                "Value #F": Column(unit="currencyUSD"),
            },
            empty=NONE_ASKED,
        ),
    ),
)

SPECS = Row(
    "Specs",
    (
        lines(
            "Exchanges that broke a promise",
            "Share of exchanges with an error, by callee and check; the worse of both sides. Good: below 1 %, the "
            "objective of the alert.",
            Query(
                f"max by (callee, check) ({violations} / on (callee, side) group_left () {exchanges})",
                "{{callee}} {{check}}",
            ),
            unit="percentunit",
            width=24,
            empty=NOTHING,
            alerts=("SpecViolations",),
        ),
        bars(
            "Broken promises by rule",
            "Findings of specs and streams. A message that two sidecars check is told by both. Good: none in enforce, "
            "fewer every week in observe.",
            Query(
                increase(names.FINDINGS, "check, rule, severity", AGENT, 'check=~"spec|stream"', over=INTERVAL),
                "{{check}} {{rule}} {{severity}}",
            ),
            empty=NOTHING,
            width=12,
            alerts=("SpecViolations",),
        ),
        rows_of(
            "Where",
            "Edges whose promises were broken in the time above, most often first.",
            Query(
                f"{increase(names.FINDINGS, 'caller, callee, check, rule, action', AGENT, BROKEN)} > 0",
                "findings",
            ),
            columns={"callee": Column(link=to_agent())},
            empty=NOTHING,
        ),
        bars(
            "Refused or let pass",
            "What became of findings of all checks. Good: what is an error is refused, unless you are still observing.",
            Query(increase(names.FINDINGS, "severity, action", AGENT, over=INTERVAL), "{{severity}} {{action}}"),
            empty=NOTHING,
        ),
        bars(
            "Went on unjudged",
            "What passed although a check could not judge it, by check and reason. Good: none.",
            Query(increase(names.FAIL_OPEN, "check, reason", over=INTERVAL), "{{check}} {{reason}}"),
            empty=NOTHING,
            alerts=("FailOpen",),
        ),
        bars(
            "Reloads of specs",
            "Good: `loaded` when you changed one. `refused` means that a mistake waits in a file and the last good "
            "ones are kept.",
            Query(increase(names.SPEC_RELOADS, "outcome", over=INTERVAL), "{{outcome}}"),
        ),
        bars(
            "Schema engines that disagree",
            "Documents on which two schema engines came to different verdicts, by spec. Good: 0. Anything else is a "
            "bug in one of them.",
            Query(increase(names.ENGINE_DISAGREEMENTS, "spec", over=INTERVAL), "{{spec}}"),
            empty="no schema verifier was asked",
        ),
    ),
)

BOARD = Board(
    name="verification",
    title="Verification",
    description="What verifiers say and how far they can be relied on, and which promises of specs are broken.",
    variables=(
        choice(
            "agent",
            "Agent",
            'label_values(sidecar_exchanges_total{job=~"$job", instance=~"$instance"}, callee)',
            "Called agents.",
        ),
        choice(
            "verifier",
            "Verifier",
            'label_values(sidecar_verdicts_total{job=~"$job", instance=~"$instance"}, verifier)',
            "Verifiers that are configured.",
        ),
    ),
    rows=(NOW, VERDICTS, SCORECARDS, SPECS),
    range="now-3h",
)
