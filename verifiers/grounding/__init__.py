"""Grounding: does everything checkable that an answer states stand in the material it was given? No model is asked.

    passage      one string or number of a document, with its JSON Pointer
    source       a passage that an answer may rest on: the request, and what the response marks as source material
    mention      a figure, date, time, name, quotation, URL or identifier found in a text
    claim        a mention in the answer, and its standing: grounded, derived or ungrounded

The judging function is pure: the same evidence gives the same verdict.
"""

from __future__ import annotations

from verifiers.base import Description
from verifiers.grounding.judgement import judge

DESCRIPTION = Description(
    name="grounding",
    version="2",
    sees=(
        "Numbers, dates, times, names, quotations, URLs and identifiers of the answer that no source contains.",
        "A number or year that the answer ties to the words of a source sentence which states another one.",
        "A source sentence repeated with its negation added or dropped.",
        "A number in a unit or a currency that the sources do not give it.",
        "A citation marker that points to no listed source.",
    ),
    blind_to=(
        "Whether the sources are true, or whether the response's own sources exist.",
        "Statements without a number, date, name, quotation or reference, and two sourced names that changed places.",
        "Conclusions, omissions, and whether what was computed was computed rightly.",
        "A wrong number that happens to be one step of arithmetic from other figures.",
        "Names and negations in languages other than English.",
    ),
    family="grounding",
    max_evidence_bytes=4 << 20,
)

__all__ = ["DESCRIPTION", "judge"]
