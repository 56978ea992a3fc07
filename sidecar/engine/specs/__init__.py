"""Specs: what is promised on an edge, compiled once, and the table that finds it. No file is ever read here.

- *spec*: a declared contract for the edges that its *match* covers; *terms* are what one direction must satisfy.
- *table*: all specs in force; the most specific one that covers an edge is the edge's.
- *path*: a JSONPath (RFC 9535) that selects the parts of a document that have a schema of their own.
- *schema*: a compiled JSON Schema. It gives the verdict in microseconds and, for a document that fails, *violations*.
- *explainer*: finds the violations. It asks the compiled engine *questions* about ever smaller *places*, a place being
  a *spot* in the schema, a value and the way to that value.
- *flaw*: what makes a spec unusable, with the place, what was found and what is allowed.
"""

from __future__ import annotations

from sidecar.engine.specs.compiler import compile_spec
from sidecar.engine.specs.flaws import BrokenPath, BrokenSchema, BrokenSpec, Flaw, Unresolvable
from sidecar.engine.specs.nesting import MAX_DEPTH, is_deeper
from sidecar.engine.specs.path import MAX_MATCHES, Path
from sidecar.engine.specs.place import Violation
from sidecar.engine.specs.pointer import Keys, pointer_of
from sidecar.engine.specs.reference import Fetch
from sidecar.engine.specs.schema import MAX_VIOLATIONS, Schema
from sidecar.engine.specs.sentences import quoted, shown, type_of
from sidecar.engine.specs.spec import Match, Part, Spec, Terms
from sidecar.engine.specs.table import SpecTable, ties

__all__ = [
    "MAX_DEPTH",
    "MAX_MATCHES",
    "MAX_VIOLATIONS",
    "BrokenPath",
    "BrokenSchema",
    "BrokenSpec",
    "Fetch",
    "Flaw",
    "Keys",
    "Match",
    "Part",
    "Path",
    "Schema",
    "Spec",
    "SpecTable",
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
