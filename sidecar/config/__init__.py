"""The configuration: one frozen tree, validated whole before the first socket is bound.

`load` reads a file, `parse` its text, `from_flags` a command line. Each gives the tree, or one ConfigError with all
mistakes, each with file, line and path. Secrets and passwords are never shown, and a bad value that came from a
variable is shown as it stands in the file. The nouns:

- *section*: a part of the tree, one class. A key is a field of it, with its unit and reason in the docstring below.
  Field names end in their unit (`deadline_s`); the YAML key is the alias (`deadline: 30s`).
- *value*: what stands at one key; a reader turns it into one exact thing, or says what is allowed.
- *clash*: a mistake that only shows when values are compared.
- *source*: the data and where each part of it was said: a line, a flag, a variable of the environment.
- *mistake*: what an operator reads: where, what was found, what is allowed.

`tree` is the whole; its larger sections are in `route`, `lineage`, `checks`, `pressure` and `reporting`.
"""

from __future__ import annotations

from sidecar.config.checks import Budget, Loops, Verifier
from sidecar.config.descriptor import Descriptor, DescriptorKind
from sidecar.config.journal import Journal, Redaction
from sidecar.config.lineage import Join, LineageKey, LineageSettings
from sidecar.config.pressure import Limit, Pressure
from sidecar.config.reading import from_flags, load, parse
from sidecar.config.reporting import Admin, Log, Metrics, Tracing
from sidecar.config.route import Compression, Limits, Route, RouteLineage
from sidecar.config.section import Section
from sidecar.config.state_url import StateUrl
from sidecar.config.tls import ListenTls, UpstreamTls
from sidecar.config.tree import Config, Drain

__all__ = [
    "Admin",
    "Budget",
    "Compression",
    "Config",
    "Descriptor",
    "DescriptorKind",
    "Drain",
    "Join",
    "Journal",
    "Limit",
    "Limits",
    "LineageKey",
    "LineageSettings",
    "ListenTls",
    "Log",
    "Loops",
    "Metrics",
    "Pressure",
    "Redaction",
    "Route",
    "RouteLineage",
    "Section",
    "StateUrl",
    "Tracing",
    "UpstreamTls",
    "Verifier",
    "from_flags",
    "load",
    "parse",
]
