"""What an operator may want otherwise: limits of alerts, and where things are. `--set NAME=VALUE` changes one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits are counts, shares (0 to 1), or amounts with the unit in the name."""

    job: str = "sidecar"
    """Prometheus' job: every sidecar is one target of it."""
    runbooks: str = "https://example.com/agent-sidecar/docs/runbooks"
    """Where docs/runbooks/ is served, without a slash at its end."""
    grafana: str = ""
    """Grafana's address. Where it is given, each alert has a dashboard_url."""

    runaway_refusals: int = 3
    """Refused loop calls within 5 minutes, kept up for 5 more, after which a caller does not mean to stop."""
    budget_share: float = 0.8
    """Share of a shared budget's fullest purse. Of conversations, `warn_at` in the configuration decides."""
    monthly_usd: float = 300.0
    """What one agent, or one verifier, may spend in 30 days. Burn rates are multiples of it."""
    slo: float = 0.99
    """Share of exchanges that keep their contract, over 30 days."""
    slo_violations_min: int = 5
    """Violations in the long window below which no burn rate is believed."""
    verdict_fail_share: float = 0.3
    """Of a verifier's passes and fails. `grounding` blocks 15 % of good answers, so half of this is no news."""
    verdict_fails_min: int = 5
    verifier_failure_share: float = 0.5
    verifier_failures_min: int = 5
    dissent_share: float = 0.3
    """Of the verdicts that a verifier gave."""
    dissents_min: int = 5
    fail_opens_min: int = 5
    """Unjudged calls within 10 minutes, for one check and reason."""
    stale_reads_min: int = 3
    """Within an hour, of one resource: a replica that lags once is life."""
    retry_share: float = 0.25
    """Of the calls on an edge. The retry budget's own default lets 0.2 pass."""
    retries_min: int = 20
    oldest_call_s: float = 600.0
    """Seconds that one call has been under way. A length of time: divided by the factor."""
    unjoined_share: float = 0.2
    """Of an agent's own calls, those whose cause is unknown."""
    unjoined_min: int = 10
    overhead_s: float = 0.05
    """Mean seconds that the engine holds a call, without what it waits on purpose. Healthy is about a millisecond."""
    overhead_exchanges_min: int = 100
    spans_lost_share: float = 0.01
    spans_lost_min: int = 10
