"""The lineage entry: what W3C headers have no room for, as one metadata value under an HMAC between two sidecars.

It is believed only where something vouches for it: a shared key or, where none is configured, a caller on this machine.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from sidecar.v1.lineage_pb2 import LineageBody, LineageEntry

if TYPE_CHECKING:
    from sidecar.engine.exchange import Metadata
    from sidecar.engine.lineage import Lineage

ENTRY_KEY = "sidecar-lineage-bin"

ENTRY_MAX_BYTES = 8192
"""A longer entry is not read. Ours stay well below: gRPC allows about this much for all metadata of a call."""

SKEW_MS = 30_000
"""How far the clocks of two machines may be apart before a fresh entry looks expired, or not yet issued."""

NAME_MAX_CHARS = 256

HOPS_MAX = 2**32 - 1
"""What the entry's field holds. Only a made-up count comes near."""

MAC_DOMAIN = b"sidecar-lineage/1\x00"
"""Keeps a MAC made for another purpose or version with the same secret from being taken for one of ours."""


class Rejected(StrEnum):
    """Why a lineage entry was dropped."""

    FORGED = "forged"
    """Its MAC is wrong, its key unknown, or it came from our own agent, which has none to send."""
    EXPIRED = "expired"
    """Outside the time for which it was issued."""
    OTHER_CALLEE = "other_callee"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    """Nothing vouches for it: no MAC where keys are configured, or no key here and a peer on another machine."""
    TRACE_MISMATCH = "trace_mismatch"
    """It belongs to another trace than the `traceparent` beside it."""


class Entries:
    """Seals the lineage entry and opens it again."""

    def __init__(self, keys: Sequence[tuple[str, bytes]], expires_s: float) -> None:
        self._signing = keys[0] if keys else None
        self._secrets: Mapping[str, bytes] = dict(keys)
        self._expires_ms = int(expires_s * 1000)

    def seal(self, lineage: Lineage, caller: str, callee: str, now_unix_ms: int, stamp: int = 0) -> bytes:
        """The metadata value for the callee's sidecar; without a key it is unsigned, good on this machine only.

        `stamp` is that of the hybrid clock, 0 where none is kept.
        """
        body = LineageBody(
            exchange_id=lineage.exchange_id,
            conversation=lineage.conversation,
            trace_id=lineage.trace_id,
            caller=caller,
            callee=callee,
            hops=lineage.hops,
            path=lineage.path,
            remainder_micro_usd=lineage.remainder_micro_usd,
            issued_unix_ms=now_unix_ms,
            expires_unix_ms=now_unix_ms + self._expires_ms,
            stamp=stamp,
        ).SerializeToString()
        if self._signing is None:
            return LineageEntry(body=body).SerializeToString()
        key_id, secret = self._signing
        return LineageEntry(key_id=key_id, body=body, mac=mac_of(secret, key_id, body)).SerializeToString()

    def open(
        self, values: Sequence[str | bytes], *, callee: str, trace_id: str, is_local: bool, now_unix_ms: int
    ) -> LineageBody | Rejected:
        """What the entries of one call say, or why that is not believed. Nothing unverified is parsed any further."""
        entry = parse_entry(values)
        if isinstance(entry, Rejected):
            return entry
        if doubt := self._doubt(entry, is_local):
            return doubt
        body = parse_body(entry.body)
        if isinstance(body, Rejected):
            return body
        if not body.issued_unix_ms - SKEW_MS <= now_unix_ms < body.expires_unix_ms + SKEW_MS:
            return Rejected.EXPIRED
        if body.callee != callee:
            return Rejected.OTHER_CALLEE
        return body if body.trace_id == trace_id else Rejected.TRACE_MISMATCH

    def _doubt(self, entry: LineageEntry, is_local: bool) -> Rejected | None:
        if not self._secrets:
            return None if is_local else Rejected.UNSIGNED
        if not entry.mac:
            return Rejected.UNSIGNED
        secret = self._secrets.get(entry.key_id)
        if secret is None or not hmac.compare_digest(mac_of(secret, entry.key_id, entry.body), entry.mac):
            return Rejected.FORGED
        return None


def entries_in(metadata: Metadata) -> list[str | bytes]:
    return [value for key, value in metadata if key == ENTRY_KEY]


def parse_entry(values: Sequence[str | bytes]) -> LineageEntry | Rejected:
    """One entry per call: of several, nobody could say which one holds."""
    value = values[0]
    if len(values) > 1 or not isinstance(value, bytes) or len(value) > ENTRY_MAX_BYTES:
        return Rejected.MALFORMED
    try:
        return LineageEntry.FromString(value)
    except DecodeError:
        return Rejected.MALFORMED


def parse_body(raw: bytes) -> LineageBody | Rejected:
    """A body whose names are such as we would write ourselves."""
    try:
        body = LineageBody.FromString(raw)
    except DecodeError:
        return Rejected.MALFORMED
    names = (body.exchange_id, body.conversation, body.trace_id, body.callee)
    is_whole = all(names) and len(body.path) > 0
    return body if is_whole and all(is_name(name) for name in (*names, body.caller, *body.path)) else Rejected.MALFORMED


def is_name(name: str) -> bool:
    return len(name) <= NAME_MAX_CHARS and name.isprintable()


def mac_of(secret: bytes, key_id: str, body: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104). The key id is signed with its length, so that none of it can pass for body."""
    signed_id = key_id.encode()
    return hmac.digest(secret, b"".join((MAC_DOMAIN, struct.pack(">H", len(signed_id)), signed_id, body)), "sha256")
