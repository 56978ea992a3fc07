"""JSON Schema once more, by another engine than the sidecar's: two that disagree are an alarm.

engine       applies one schema to one document; runs in a cage, because its patterns can backtrack for ever
judgement    chooses the schemas that apply and makes a verdict of what the engine found
"""

from __future__ import annotations

from verifiers.base import Description
from verifiers.schema.judgement import judge

DESCRIPTION = Description(
    name="schema",
    version="2",
    sees=(
        "Whether the request's and the response's document hold to the JSON Schemas of the spec.",
        "The formats date, email, idn-email, ipv4, ipv6, regex and uuid.",
    ),
    blind_to=(
        "Whether what a well-formed document says is true.",
        "Schemas with \\p{...} patterns, which this engine cannot read: they are inconclusive.",
        "Schemas that refer to documents elsewhere: nothing is fetched.",
        "The formats date-time, uri, hostname and the like, which pass unchecked here.",
    ),
    family="json-schema",
)

__all__ = ["DESCRIPTION", "judge"]
