"""Specs: what is promised on an edge, compiled once, and the table that finds it. No file is ever read here.

- *spec*: a declared contract for the edges that its *match* covers; *terms* are what one direction must satisfy.
- *table*: all specs in force; the most specific one that covers an edge is the edge's.
- *path*: a JSONPath (RFC 9535) that selects the parts of a document that have a schema of their own.
- *schema*: a compiled JSON Schema. It gives the verdict in microseconds and, for a document that fails, *violations*.
- *explainer*: finds the violations. It asks the compiled engine *questions* about ever smaller *places*, a place being
  a *spot* in the schema, a value and the way to that value.
- *rule*: an expression in CEL that every message of one direction must make true; *facts* are what it may look at.
- *promise*: what a spec declares beside its terms (a key, a task's *machine*, a resource, a cost, a panel).
- *flaw*: what makes a spec unusable, with the place, what was found and what is allowed.
"""

from __future__ import annotations

from sidecar.engine.specs.compiler import compile_spec
from sidecar.engine.specs.flaws import BrokenPath, BrokenRule, BrokenSchema, BrokenSpec, Flaw, Unresolvable
from sidecar.engine.specs.machines import A2A, Machine
from sidecar.engine.specs.nesting import MAX_DEPTH, is_deeper
from sidecar.engine.specs.path import MAX_MATCHES, Path
from sidecar.engine.specs.place import Violation
from sidecar.engine.specs.pointer import Keys, pointer_of
from sidecar.engine.specs.promises import (
    ContentTerms,
    CostTerms,
    Idempotency,
    PanelTerms,
    ReadTerms,
    ResourceTerms,
    TaskTerms,
)
from sidecar.engine.specs.reference import Fetch
from sidecar.engine.specs.rules import Broken, Facts, Rule, Rules
from sidecar.engine.specs.schema import MAX_VIOLATIONS, Schema
from sidecar.engine.specs.sentences import quoted, shown, type_of
from sidecar.engine.specs.spec import Match, Part, Spec, Terms
from sidecar.engine.specs.table import SpecTable, ties

__all__ = [
    "A2A",
    "MAX_DEPTH",
    "MAX_MATCHES",
    "MAX_VIOLATIONS",
    "Broken",
    "BrokenPath",
    "BrokenRule",
    "BrokenSchema",
    "BrokenSpec",
    "ContentTerms",
    "CostTerms",
    "Facts",
    "Fetch",
    "Flaw",
    "Idempotency",
    "Keys",
    "Machine",
    "Match",
    "PanelTerms",
    "Part",
    "Path",
    "ReadTerms",
    "ResourceTerms",
    "Rule",
    "Rules",
    "Schema",
    "Spec",
    "SpecTable",
    "TaskTerms",
    "Terms",
    "Unresolvable",
    "Violation",
    "compile_spec",
    "is_deeper",
    "pointer_of",
    "quoted",
    "shown",
    "ties",
    "type_of",
]
