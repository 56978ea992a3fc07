"""The alerts: what each compares, how long it waits, and what it says.

`for` is 0 where the window of the expression is the patience already. An alert of several rules says why each by a
label of its own (`long` and `short`, or `seen_as`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dashboards.rules import recording as rec
from dashboards.rules.promql import Time, number
from dashboards.rules.recording import Group, Rule
from dashboards.rules.settings import Settings

Severity = Literal["critical", "warning", "info"]
"""critical: wake somebody. warning: a ticket for the day. info: worth knowing beside another alert."""

COUNT = '{{ $value | printf "%.0f" }}'
SHARE = "{{ $value | humanizePercentage }}"
USD = '{{ $value | printf "%.2f" }} USD'
SECONDS = "{{ $value | humanizeDuration }}"

MONTH_H = 30 * 24


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule of one alert."""

    name: str
    severity: Severity
    summary: str
    description: str
    expr: str
    wait: str = "0s"
    labels: dict[str, str] = field(default_factory=dict)

    def rule(self, time: Time, settings: Settings, board: str) -> Rule:
        waited = {} if self.wait == "0s" else {"for": time(self.wait)}
        shown = {"dashboard_url": f"{settings.grafana}/d/sidecar-{board}"} if settings.grafana else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            **waited,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{settings.runbooks}/{self.name.lower()}.md",
                **shown,
            },
        }


@dataclass(frozen=True, slots=True)
class Burn:
    """A row of the SRE Workbook's table: how many times too fast, seen in a long and a short window."""

    long: str
    short: str
    times: float
    severity: Severity
    wait: str


BURNS = (
    Burn("1h", "5m", 14.4, "critical", "2m"),
    Burn("6h", "30m", 6, "critical", "15m"),
    Burn("1d", "2h", 3, "warning", "1h"),
    Burn("3d", "6h", 1, "warning", "3h"),
)
HOURS = {"5m": 1 / 12, "30m": 0.5, "1h": 1, "2h": 2, "6h": 6, "1d": 24, "3d": 72}


def loops(time: Time, settings: Settings) -> list[Alert]:
    recent = rec.LOOPS.name
    return [
        Alert(
            "SidecarLoopDetected",
            "warning",
            "Agents go round in circles.",
            f"{{{{ $labels.caller }}}} asked {{{{ $labels.callee }}}} past the {{{{ $labels.kind }}}} limit "
            f"{COUNT} times in {time('10m')} ({{{{ $labels.action }}}}).",
            f'{recent}{{kind!="reentry"}} > 0\nor\n{recent}{{kind="reentry",action="rejected"}} > 0',
        ),
        Alert(
            "SidecarRunawayLoop",
            "critical",
            "A loop goes on although it is refused.",
            f"{{{{ $labels.caller }}}} was refused {COUNT} times in {time('5m')} for a {{{{ $labels.kind }}}} loop at "
            f"{{{{ $labels.callee }}}} and does not stop.",
            f"{rec.REFUSED_LOOPS.name} >= {settings.runaway_refusals}",
            wait="5m",
        ),
    ]


def budgets(time: Time, settings: Settings) -> list[Alert]:
    one, all_ = 'scope="conversation"', 'scope!="conversation"'
    return [
        Alert(
            "SidecarConversationBudgetNearlySpent",
            "info",
            "A conversation has nearly spent its budget.",
            f"{COUNT} calls in {time('15m')} came near the limit of budget {{{{ $labels.budget }}}}.",
            f'{rec.BUDGET_EVENTS}{{{one},event="warned"}} > 0',
        ),
        Alert(
            "SidecarConversationBudgetExhausted",
            "warning",
            "A conversation has spent its budget.",
            f"{COUNT} calls in {time('15m')} did not fit into budget {{{{ $labels.budget }}}}: "
            "{{ $labels.event }}.",
            f'{rec.BUDGET_EVENTS}{{{one},event=~"refused|exceeded"}} > 0',
        ),
        Alert(
            "SidecarBudgetNearlySpent",
            "warning",
            "A budget that many share is nearly spent.",
            f"The fullest purse of budget {{{{ $labels.budget }}}} ({{{{ $labels.scope }}}}) is spent to {SHARE}.",
            f"{rec.BUDGET_USED}{{{all_}}} >= {number(settings.budget_share)}",
            wait="5m",
        ),
        Alert(
            "SidecarBudgetExhausted",
            "critical",
            "A budget that many share is spent.",
            f"{COUNT} calls in {time('15m')} did not fit into budget {{{{ $labels.budget }}}} "
            "({{ $labels.scope }}): {{ $labels.event }}.",
            f'{rec.BUDGET_EVENTS}{{{all_},event=~"refused|exceeded"}} > 0',
        ),
    ]


def money(time: Time, settings: Settings) -> list[Alert]:
    return [
        *(cost_burn(time, settings, burn) for burn in BURNS),
        Alert(
            "SidecarUnpricedCalls",
            "warning",
            "A model has no price, so budgets and costs are guesses.",
            f"{COUNT} calls of {{{{ $labels.agent }}}} in {time('1h')} used model {{{{ $labels.model }}}}, which has "
            "no price.",
            f"{rec.UNPRICED.name} > 0",
        ),
    ]


def cost_burn(time: Time, settings: Settings, burn: Burn) -> Alert:
    """Money is its own volume: whoever spends 2 % of a month's money in one call is worth a look."""
    hourly_usd = settings.monthly_usd / MONTH_H
    long, short = (
        f"{rec.cost(w).name} > {number(burn.times * hourly_usd * HOURS[w])}" for w in (burn.long, burn.short)
    )
    return Alert(
        "SidecarCostBurnRate",
        burn.severity,
        "An agent spends its month's money too fast.",
        f"{{{{ $labels.agent }}}} spent {USD} in {time(burn.long)}; of {number(settings.monthly_usd)} USD for "
        f"{time('30d')} that is a burn rate above {number(burn.times)}.",
        f"{long}\nand\n{short}",
        wait=burn.wait,
        labels={"long": time(burn.long), "short": time(burn.short)},
    )


def specs(time: Time, settings: Settings) -> list[Alert]:
    return [spec_burn(time, settings, burn) for burn in BURNS]


def spec_burn(time: Time, settings: Settings, burn: Burn) -> Alert:
    """Where both sidecars of a call have the spec both count it, so the worse side speaks for the callee."""
    limit = number(burn.times * (1 - settings.slo))
    return Alert(
        "SidecarSpecViolations",
        burn.severity,
        "Too many exchanges break their contract.",
        f"{SHARE} of the exchanges with {{{{ $labels.callee }}}} broke a promise ({{{{ $labels.check }}}}) in "
        f"{time(burn.long)}; the objective allows {number(100 * (1 - settings.slo))}% over {time('30d')}.",
        f"max without (side) (\n"
        f"    {rec.violation_share(burn.long)} > {limit}\n"
        f"  and\n"
        f"    {rec.violation_share(burn.short)} > {limit}\n"
        f"  and\n"
        f"    {rec.violations(burn.long).name} >= {settings.slo_violations_min}\n"
        f")",
        wait=burn.wait,
        labels={"long": time(burn.long), "short": time(burn.short)},
    )


def verifiers(time: Time, settings: Settings) -> list[Alert]:
    fails, given = f'{rec.VERDICTS_30M.name}{{verdict="fail"}}', f'{rec.VERDICTS_30M.name}{{verdict=~"pass|fail"}}'
    by_verifier = "sum by (job, verifier)"
    down = "A verifier gives no verdicts."
    return [
        Alert(
            "SidecarVerdictFailures",
            "warning",
            "A verifier finds many answers wrong.",
            f"{{{{ $labels.verifier }}}} failed {SHARE} of the answers that it judged in {time('30m')}.",
            f"{by_verifier} ({fails})\n/\n{by_verifier} ({given})\n> {number(settings.verdict_fail_share)}\n"
            f"and\n{by_verifier} ({fails}) >= {settings.verdict_fails_min}",
            wait="5m",
        ),
        Alert(
            "SidecarVerifierDown",
            "warning",
            down,
            "{{ $labels.verifier }} kept failing, so it is not asked while its circuit breaker is open.",
            "max by (job, verifier) (\n"
            '  label_replace(sidecar_breaker_open{target=~"verifier:.+"},'
            ' "verifier", "$1", "target", "verifier:(.+)")\n'
            f") == 1\nand\n{by_verifier} ({rec.VERDICTS_30M.name}) > 0",
            wait="1m",
            labels={"seen_as": "breaker"},
        ),
        Alert(
            "SidecarVerifierDown",
            "warning",
            down,
            f"{{{{ $labels.verifier }}}} gave no usable answer to {SHARE} of the questions of {time('10m')}.",
            f"{rec.VERIFIER_FAILURES.name}\n/\n{by_verifier} ({rec.VERDICTS_10M.name})\n"
            f"> {number(settings.verifier_failure_share)}\n"
            f"and\n{rec.VERIFIER_FAILURES.name} >= {settings.verifier_failures_min}",
            wait="5m",
            labels={"seen_as": "failures"},
        ),
        Alert(
            "SidecarVerifierDissent",
            "warning",
            "A verifier often stands alone against its panel.",
            f"{SHARE} of what {{{{ $labels.verifier }}}} said in {time('1h')} differs from its panel's verdict.",
            f"{rec.DISSENTS.name}\n/\n{by_verifier} ({rec.VERDICTS_1H.name})\n> {number(settings.dissent_share)}\n"
            f"and\n{rec.DISSENTS.name} >= {settings.dissents_min}",
            wait="10m",
        ),
    ]


HEALTHY_DOUBT = "inconclusive|declined|observer_dropped"
"""What verifiers in good health say of answers that they cannot judge, and what only observers miss."""


def unjudged(time: Time, settings: Settings) -> list[Alert]:
    return [
        Alert(
            "SidecarFailOpen",
            "warning",
            "Calls go on that a check could not judge.",
            f"Check {{{{ $labels.check }}}} let {COUNT} calls pass unjudged in {time('10m')}: "
            "{{ $labels.reason }}.",
            f'{rec.FAIL_OPENS.name}{{reason!~"{HEALTHY_DOUBT}"}} >= {settings.fail_opens_min}',
        )
    ]


def work(time: Time, settings: Settings) -> list[Alert]:
    twice = "The same work was done twice."
    name = "SidecarDuplicateExecuted"
    return [
        Alert(
            name,
            "warning",
            twice,
            f"{COUNT} calls to {{{{ $labels.callee }}}} in {time('30m')} had a key that was taken, and ran all "
            "the same.",
            f"{rec.REPEATED_KEYS.name} > 0",
            labels={"seen_as": "key"},
        ),
        Alert(
            name,
            "warning",
            twice,
            f"{{{{ $labels.caller }}}} began {COUNT} tasks at {{{{ $labels.callee }}}} in {time('30m')} while another "
            "one for the same request was open.",
            f"{rec.REPEATED_TASKS.name} > 0",
            labels={"seen_as": "task"},
        ),
        Alert(
            name,
            "warning",
            twice,
            f"{COUNT} calls of {{{{ $labels.caller }}}} to {{{{ $labels.callee }}}} in {time('30m')} lost their claim "
            "before they ended.",
            f"{rec.LOST_CLAIMS.name} > 0",
            labels={"seen_as": "claim"},
        ),
        Alert(
            "SidecarStuckTasks",
            "warning",
            "Tasks stand still.",
            f"{COUNT} open tasks of {{{{ $labels.callee }}}} have made no progress for longer than tasks.stuck_after.",
            "max by (job, callee) (sidecar_stuck_tasks) > 0",
            wait="5m",
        ),
        Alert(
            "SidecarStaleReads",
            "warning",
            "Agents are given old versions of what they have seen newer.",
            f"{COUNT} reads of {{{{ $labels.resource }}}} in {time('1h')} were older than what their agent knew.",
            f"{rec.STALE_READS.name} >= {settings.stale_reads_min}",
        ),
        Alert(
            "SidecarLostUpdates",
            "warning",
            "A write has undone another agent's change.",
            f"{COUNT} writes of {{{{ $labels.caller }}}} to {{{{ $labels.callee }}}} in {time('1h')} were based on a "
            "version that had been overwritten, and went through.",
            f"{rec.LOST_UPDATES.name} > 0",
        ),
    ]


def pressure(time: Time, settings: Settings) -> list[Alert]:
    return [
        Alert(
            "SidecarRetryStorm",
            "warning",
            "Many of the calls on an edge are retries.",
            f"{SHARE} of the calls from {{{{ $labels.caller }}}} to {{{{ $labels.callee }}}} in {time('5m')} were sent "
            "before.",
            f"{rec.RETRY_SHARE} > {number(settings.retry_share)}\nand\n{rec.RETRIES.name} >= {settings.retries_min}",
            wait="2m",
        ),
        Alert(
            "SidecarHerd",
            "warning",
            "Callers retry in step.",
            f"{COUNT} times in {time('10m')} nine in ten of the retries at {{{{ $labels.callee }}}} came within a "
            "quarter of a second.",
            f"{rec.HERDS.name} > 0",
        ),
        Alert(
            "SidecarOldestCall",
            "warning",
            "A call has been under way for very long.",
            f"The oldest call to {{{{ $labels.callee }}}} has been under way for {SECONDS}.",
            f"max by (job, callee) (sidecar_oldest_inflight_seconds) > {number(settings.oldest_call_s / time.factor)}",
            wait="1m",
        ),
    ]


def process(time: Time, settings: Settings) -> list[Alert]:
    job = f'{{job="{settings.job}"}}'
    own, made = (f'{rec.JOINS.name}{{{chosen}side="outbound"}}' for chosen in ('how=~"ambiguous|root",', ""))
    lost, spans = f'{rec.SPANS.name}{{outcome=~"dropped|failed"}}', rec.SPANS.name
    by = "sum by (job, instance)"
    return [
        Alert(
            "SidecarBrokenTraces",
            "warning",
            "An agent's calls cannot be joined to what caused them.",
            f"{SHARE} of the calls that the agent behind {{{{ $labels.instance }}}} made in {time('30m')} have no "
            "known cause.",
            f"{by} ({own})\n/\n{by} ({made})\n> {number(settings.unjoined_share)}\n"
            f"and\n{by} ({own}) >= {settings.unjoined_min}\n"
            f'and\n{by} ({rec.JOINS.name}{{side="inbound"}}) > 0',
            wait="10m",
        ),
        Alert(
            "SidecarDown",
            "critical",
            "A sidecar does not answer Prometheus.",
            f"{{{{ $labels.instance }}}} has not been scraped for {time('2m')}.",
            f"up{job} == 0",
            wait="2m",
        ),
        Alert(
            "SidecarAbsent",
            "critical",
            "Prometheus knows of no sidecar.",
            "There is no target of job {{ $labels.job }}.",
            f"absent(up{job})",
            wait="5m",
        ),
        Alert(
            "SidecarOverheadHigh",
            "warning",
            "A sidecar is slow.",
            f"{{{{ $labels.instance }}}} held each call for {SECONDS} on average in {time('10m')}, without what it "
            "waited for on purpose.",
            f"{rec.OWN_OVERHEAD} > {number(settings.overhead_s)}\n"
            f"and\n{rec.HELD.name} >= {settings.overhead_exchanges_min}",
            wait="5m",
        ),
        Alert(
            "SidecarSpansLost",
            "warning",
            "Traces have holes: spans do not reach the collector.",
            f"{{{{ $labels.instance }}}} lost {SHARE} of its spans in {time('10m')}.",
            f"{by} ({lost})\n/\n{by} ({spans})\n> {number(settings.spans_lost_share)}\n"
            f"and\n{by} ({lost}) >= {settings.spans_lost_min}",
            wait="5m",
        ),
        Alert(
            "SidecarJournalLosing",
            "warning",
            "The journal has holes.",
            f"{{{{ $labels.instance }}}} lost {COUNT} entries of its journal in {time('10m')}.",
            f"{rec.JOURNAL_LOSSES.name} > 0",
        ),
        Alert(
            "SidecarStoreAway",
            "critical",
            "Sidecars cannot reach their shared store.",
            f"{{{{ $labels.store }}}} does not answer {COUNT} sidecars: specs that are available go on with local "
            "state, consistent ones refuse.",
            "sum by (job, store) (sidecar_store_away) > 0",
            wait="1m",
        ),
        Alert(
            "SidecarStoreLostWrites",
            "critical",
            "The shared store has forgotten what it acknowledged.",
            f"{{{{ $labels.store }}}} came back without {{{{ $labels.outcome }}}} of its writes, as {COUNT} sidecars "
            "saw.",
            f"{rec.STORE_LOSSES.name} > 0",
        ),
    ]


FAMILIES = {
    "loops": (loops, "loops-and-cost"),
    "budgets": (budgets, "loops-and-cost"),
    "money": (money, "loops-and-cost"),
    "specs": (specs, "verification"),
    "verifiers": (verifiers, "verification"),
    "unjudged": (unjudged, "verification"),
    "work": (work, "fleet"),
    "pressure": (pressure, "fleet"),
    "process": (process, "sidecar"),
}
"""Each group of alerts, and the board that shows it."""


def groups(time: Time, settings: Settings) -> list[Group]:
    return [
        {
            "name": f"sidecar.{family}",
            "interval": time("30s"),
            "rules": [alert.rule(time, settings, board) for alert in made(time, settings)],
        }
        for family, (made, board) in FAMILIES.items()
    ]
