"""CEL rules over request, response and edge, evaluated apart from the sidecar and from the agent.

rulebook     the rules as the spec wrote them
engine       compiles and evaluates them; runs in a cage
judgement    makes a verdict of what held, what did not and what could not be asked
"""

from __future__ import annotations

from verifiers.base import Description
from verifiers.rules.judgement import judge

DESCRIPTION = Description(
    name="rules",
    version="1",
    sees=("Whether each CEL rule of the spec is true of the request, the response and the edge.",),
    blind_to=(
        "Whatever no rule asks.",
        "Rules that have no value on a document, such as one that reads a missing key: they are inconclusive.",
        "Earlier messages of a stream and earlier exchanges: it sees the last message each way.",
    ),
    family="cel",
)

__all__ = ["DESCRIPTION", "judge"]
