"""Recording and alert rules: one template in Python, from which the shipped YAML and quicker copies of it are made.

A *recording* counts what happened within a window; an *alert* compares recordings, or a gauge, with a limit of
`Settings`. Everything that is a length of time goes through `Time`, so that one factor makes all of it shorter: a live
test with `factor=60` sees in a minute what takes an hour.

`python -m dashboards.rules` writes `recording.yml` and `alerts.yml` beside this file.
"""

from dashboards.rules.settings import Settings
from dashboards.rules.template import alerts, recordings, rules

__all__ = ["Settings", "alerts", "recordings", "rules"]
