"""What the alerts compare: how often something happened within a window.

Names are `labels:noun:operation`, as Prometheus recommends. A window in a name is the one at factor 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.rules.promql import Time, indented, number, rise, summed
from dashboards.rules.settings import Settings

Rule = dict[str, Any]
Group = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """How much a counter rose within a window, by the labels that are kept."""

    noun: str
    labels: str
    counter: str
    window: str
    starts_at_zero: bool = False
    """Whether its series are there before their first event, so that plain `increase` sees it."""

    @property
    def name(self) -> str:
        return f"{self.labels.replace(' ', '_')}:{self.noun}:increase{self.window}"

    def rule(self, time: Time) -> Rule:
        window = time(self.window)
        risen = f"increase({self.counter}[{window}])" if self.starts_at_zero else ""
        return {
            "record": self.name,
            "expr": summed(self.labels, risen or rise(self.counter, window, known(self.window))),
        }


def known(window: str) -> str:
    return f"job_instance:sidecar_known:during{window}"


LOOPS = Count("sidecar_loops", "job kind caller callee action", "sidecar_loops_total", "10m")
REFUSED_LOOPS = Count("sidecar_refused_loops", "job kind caller callee", 'sidecar_loops_total{action="rejected"}', "5m")
UNPRICED = Count("sidecar_unpriced_calls", "job agent model", "sidecar_unpriced_calls_total", "1h")
VERIFIER_FAILURES = Count("sidecar_verifier_failures", "job verifier", "sidecar_verifier_failures_total", "10m")
FAIL_OPENS = Count("sidecar_fail_open", "job check reason", "sidecar_fail_open_total", "10m")
REPEATED_KEYS = Count("sidecar_repeated_keys", "job callee", 'sidecar_duplicates_total{outcome="observed"}', "30m")
REPEATED_TASKS = Count(
    "sidecar_repeated_tasks", "job caller callee", 'sidecar_findings_total{check="task",rule="duplicate"}', "30m"
)
LOST_CLAIMS = Count(
    "sidecar_lost_claims", "job caller callee", 'sidecar_findings_total{check="idempotency",rule="fenced"}', "30m"
)
LOST_UPDATES = Count(
    "sidecar_lost_updates",
    "job caller callee",
    'sidecar_findings_total{check="consistency",rule="lost-update",action="observed"}',
    "1h",
)
"""Not `sidecar_lost_updates_total`, which counts those that were refused as well, and of those nothing is lost."""
HERDS = Count("sidecar_herds", "job callee", 'sidecar_findings_total{check="pressure",rule="herd"}', "10m")
STALE_READS = Count("sidecar_stale_reads", "job resource", "sidecar_stale_reads_total", "1h")
RETRIES = Count("sidecar_retries", "job caller callee", "sidecar_retries_total", "5m")
EDGE_CALLS = Count("sidecar_exchanges", "job caller callee side", "sidecar_exchanges_total", "5m")
JOURNAL_LOSSES = Count(
    "sidecar_journal_losses", "job instance", 'sidecar_journal_events_total{outcome=~"dropped|failed"}', "10m"
)
STORE_LOSSES = Count("sidecar_store_losses", "job store outcome", "sidecar_store_losses_total", "1h")

VERDICTS_10M, VERDICTS_30M, VERDICTS_1H = (
    Count("sidecar_verdicts", "job verifier verdict", "sidecar_verdicts_total", window, starts_at_zero=True)
    for window in ("10m", "30m", "1h")
)
DISSENTS = Count(
    "sidecar_verifier_dissent", "job verifier", "sidecar_verifier_dissent_total", "1h", starts_at_zero=True
)
JOINS = Count("sidecar_trace_joins", "job instance how side", "sidecar_trace_joins_total", "30m", starts_at_zero=True)
SPANS = Count("sidecar_spans", "job instance outcome", "sidecar_spans_total", "10m", starts_at_zero=True)
HELD = Count(
    "sidecar_overhead_seconds_count", "job instance", "sidecar_overhead_seconds_count", "10m", starts_at_zero=True
)

COUNTS = (
    *(LOOPS, REFUSED_LOOPS, UNPRICED, VERIFIER_FAILURES, FAIL_OPENS, REPEATED_KEYS, REPEATED_TASKS, LOST_CLAIMS),
    *(LOST_UPDATES, HERDS, STALE_READS, RETRIES, EDGE_CALLS, JOURNAL_LOSSES, STORE_LOSSES, VERDICTS_10M, VERDICTS_30M),
    *(VERDICTS_1H, DISSENTS, JOINS, SPANS, HELD),
)

BUDGET_EVENTS = "job_budget_scope_event:sidecar_budget_events:increase15m"
BUDGET_USED = "job_budget_scope:sidecar_budget_used_ratio:max"
OWN_OVERHEAD = "job_instance:sidecar_own_overhead_seconds:mean10m"
RETRY_SHARE = "job_caller_callee:sidecar_retries_per_exchange:ratio5m"

KNOWN_WINDOWS = ("5m", "10m", "15m", "30m", "1h")

BURN_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Those above 5m add up counts of 5m, so that three days of a fleet cost 864 points a series and not every sample."""


def watched(time: Time, settings: Settings, window: str) -> Rule:
    """Each sidecar all of whose events of the last window were seen: it was scraped before, or is younger.

    Younger by a fifth more, so that nothing is missed until its first scrape is a window old.
    """
    job = f'{{job="{settings.job}"}}'
    before = f"up{job} offset {time(window)} == 1"
    younger = f"time() - process_start_time_seconds{job} < {number(1.2 * time.seconds(window))}"
    return {"record": known(window), "expr": f"(\n  {before}\n)\nor\n(\n  {younger}\n)"}


def budgets(time: Time) -> list[Rule]:
    """With the scope of each budget, which says whether one conversation or everybody has to stop."""
    scope = "* on (job, instance, budget) group_left (scope)\n  sidecar_budget_info"
    events = rise("sidecar_budget_events_total", time("15m"), known("15m"))
    return [
        {
            "record": BUDGET_EVENTS,
            "expr": summed("job budget scope event", f"(\n{indented(events)}\n)\n{scope}"),
        },
        {
            "record": BUDGET_USED,
            "expr": f"max by (job, budget, scope) (\n{indented(f'sidecar_budget_used_ratio_max{chr(10)}{scope}')}\n)",
        },
    ]


def own_overhead(time: Time) -> Rule:
    """The mean, because a quantile of what is held less a quantile of what is waited on purpose means nothing."""
    held, waited = (
        summed("job instance", f"increase({name}[{time('10m')}])")
        for name in ("sidecar_overhead_seconds_sum", "sidecar_waited_seconds_total")
    )
    return {"record": OWN_OVERHEAD, "expr": f"(\n    {held}\n  -\n    {waited}\n)\n/\n  {HELD.name}"}


def retry_share() -> Rule:
    """Both sidecars of a call count it, and one of them its retry: the larger side is the number of calls."""
    return {"record": RETRY_SHARE, "expr": f"{RETRIES.name}\n/\nmax without (side) ({EDGE_CALLS.name})"}


def violations(window: str) -> Count:
    return Count(
        "sidecar_violations", "job check callee side", 'sidecar_violations_total{check=~"spec|stream"}', window
    )


def exchanges(window: str) -> Count:
    return Count("sidecar_exchanges", "job callee side", "sidecar_exchanges_total", window)


def cost(window: str) -> Count:
    return Count("sidecar_cost_usd", "job agent", "sidecar_cost_usd_total", window)


def violation_share(window: str) -> str:
    return f"job_check_callee_side:sidecar_violations_per_exchange:ratio{window}"


def burn_rates(time: Time) -> list[Rule]:
    """What happened in each window, and the share of exchanges that broke their contract."""
    found: list[Rule] = []
    for window in BURN_WINDOWS:
        for count in (violations, exchanges, cost):
            if window == "5m":
                found.append(count(window).rule(time))
            else:
                sum_ = f"sum_over_time({count('5m').name}[{time(window)}:{time('5m')}])"
                found.append({"record": count(window).name, "expr": sum_})
        share = f"{violations(window).name}\n/ ignoring (check) group_left ()\n{exchanges(window).name}"
        found.append({"record": violation_share(window), "expr": share})
    return found


def groups(time: Time, settings: Settings) -> list[Group]:
    """Two groups: within one, rules are evaluated in order and see what those before them recorded."""
    before = [watched(time, settings, window) for window in KNOWN_WINDOWS]
    events = [
        *before,
        *(count.rule(time) for count in COUNTS),
        *budgets(time),
        own_overhead(time),
        retry_share(),
    ]
    return [
        {"name": "sidecar.events", "interval": time("30s"), "rules": events},
        {"name": "sidecar.burn-rates", "interval": time("30s"), "rules": burn_rates(time)},
    ]
