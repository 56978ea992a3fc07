"""W3C Trace Context (Level 2) and Baggage, as a participant that renames the parent and touches nothing else.

Rules are those of https://www.w3.org/TR/trace-context-2/ and https://www.w3.org/TR/baggage/. Where they leave a choice:

- An invalid `traceparent`, or more than one, starts a new trace, and its `tracestate` goes with it.
- An invalid `tracestate` (a member outside the grammar, more than 32 members) is dropped whole and leaves `traceparent`
  alone. Keys that occur twice are kept: only their owner can say which one is right.
- A valid `tracestate` is forwarded as it came, entry by entry. We add no member of our own and cut nothing: what fitted
  the transport on the way in fits it on the way out.
- `baggage` is forwarded as it came, within the limits that every participant must carry.

Tabs, which both grammars allow between members, become spaces, because gRPC cannot send them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sidecar.engine.exchange import Metadata

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
BAGGAGE = "baggage"

SAMPLED = 0x01
RANDOM = 0x02
"""Set by whoever made the trace id at random; it belongs to the id and never changes with it."""

TRACESTATE_MAX_MEMBERS = 32
BAGGAGE_MAX_MEMBERS = 64
BAGGAGE_MAX_BYTES = 8192

OWS = " \t"
"""Optional white space around a header's value and its list members (RFC 9110, section 5.6.3)."""

Pair = tuple[str, "str | bytes"]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-?)")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_FLAGS = ("00", "01", "02", "03")
_VERSION_00_CHARS = 55
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class TraceContext(NamedTuple):
    """The trace that a caller is in. A tuple, because one is made for every call."""

    trace_id: str
    """32 lower-case hex digits, not all zero."""
    span_id: str
    """The caller's span: 16 lower-case hex digits, not all zero."""
    is_sampled: bool
    is_random: bool
    tracestate: tuple[str, ...] = ()
    """Metadata values to forward, in order."""


def parse_traceparent(value: str, tracestate: tuple[str, ...] = ()) -> TraceContext | None:
    """None where the value is invalid. A version above 00 is read by its first 55 characters."""
    value = value.strip(OWS)
    match = _TRACEPARENT.fullmatch(value, 0, _VERSION_00_CHARS + 1)
    if match is None:
        return None
    version, trace_id, span_id, flags, dash = match.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if dash and version == "00":
        return None
    bits = int(flags, 16)
    return TraceContext(trace_id, span_id, bool(bits & SAMPLED), bool(bits & RANDOM), tracestate)


def format_traceparent(trace_id: str, span_id: str, is_sampled: bool, is_random: bool) -> str:
    """Always version 00, the highest one known to us. Flag bits without a meaning yet are sent as zero."""
    return f"00-{trace_id}-{span_id}-{_FLAGS[is_sampled * SAMPLED | is_random * RANDOM]}"


def read(metadata: Metadata) -> TraceContext | None:
    """The caller's trace context; None where there is none or it is invalid, and then `tracestate` means nothing."""
    parents, states = [], []
    for key, value in metadata:
        if key == TRACEPARENT:
            parents.append(_text(value))
        elif key == TRACESTATE:
            states.append(_text(value))
    return parse_traceparent(parents[0], valid_tracestate(states)) if len(parents) == 1 else None


def valid_tracestate(entries: Sequence[str]) -> tuple[str, ...]:
    """The entries as they can be forwarded; empty where the list that they make together is invalid."""
    members = 0
    for entry in entries:
        for raw in entry.split(","):
            member = raw.strip(OWS)
            if not member:
                continue  # the grammar allows empty members, and they count for nothing
            members += 1
            if members > TRACESTATE_MAX_MEMBERS or _MEMBER.fullmatch(member) is None:
                return ()
    return tuple([_without_tabs(entry) for entry in entries]) if members else ()


def bounded_baggage(entries: Sequence[str]) -> tuple[str, ...]:
    """The entries within 64 members and 8192 bytes: whole members are dropped, from the right."""
    members_left, bytes_left = BAGGAGE_MAX_MEMBERS, BAGGAGE_MAX_BYTES + 1
    bounded: list[str] = []
    for entry in entries:
        kept: list[str] = []
        for member in entry.split(","):
            members_left, bytes_left = members_left - 1, bytes_left - len(member) - 1
            if members_left < 0 or bytes_left < 0:
                return (*bounded, ",".join(kept)) if kept else tuple(bounded)
            kept.append(member)
        bounded.append(_without_tabs(entry))
    return tuple(bounded)


def restamped(metadata: Metadata, traceparent: str, tracestate: Sequence[str], dropped: str) -> list[Pair]:
    """`metadata` with the trace context in the places where the caller's stood, else at the end.

    Entries whose key is `dropped` are left out. All others stay as they are, `baggage` within its limits.
    """
    ours = {TRACEPARENT: [traceparent], TRACESTATE: list(tracestate)}
    if baggage := [_text(value) for key, value in metadata if key == BAGGAGE]:
        ours[BAGGAGE] = list(bounded_baggage(baggage))
    stamped: list[Pair] = []
    for pair in metadata:
        key = pair[0]
        if key not in ours:
            if key != dropped:
                stamped.append(pair)
        elif ours[key]:
            stamped.append((key, ours[key].pop(0)))
    for key, values in ours.items():
        stamped += [(key, value) for value in values]
    return stamped


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _without_tabs(entry: str) -> str:
    return entry.replace("\t", " ") if "\t" in entry else entry
