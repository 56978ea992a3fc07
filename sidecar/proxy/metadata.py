"""Which metadata may cross: everything the caller said, nothing that belongs to one connection alone.

gRPC's own headers are made afresh on each hop; copied through they break calls, some only with Go or Node peers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Entry = tuple[str, "str | bytes"]

HOP_BY_HOP = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "sidecar-guarded",
        "sidecar-spent-micro-usd",
        "upgrade",
        "user-agent",
    }
)
"""HTTP's connection headers (RFC 9113, 8.2.2), those that grpc writes itself, and what one sidecar tells the next."""

CARRIED_GRPC_KEYS = frozenset({"grpc-status-details-bin", "grpc-retry-pushback-ms", "grpc-previous-rpc-attempts"})
"""`grpc-` keys that travel from end to end; all others of that prefix are the hop's own."""

_KEY = re.compile(r"[0-9a-z_.\-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")


def carried(metadata: Iterable[Entry] | None) -> tuple[Entry, ...]:
    """The entries that go on to the other side, in order.

    An entry that grpc could not send (a text value outside printable ASCII) is left out: sending it would fail the
    whole call. docs/operating.md names this.
    """
    return tuple((key, value) for key, value in metadata or () if is_carried(key) and is_sendable(key, value))


def is_carried(key: str) -> bool:
    if key.startswith("grpc-"):
        return key in CARRIED_GRPC_KEYS
    return key not in HOP_BY_HOP


def is_sendable(key: str, value: str | bytes) -> bool:
    """gRPC's metadata grammar: lower-case keys, printable ASCII text, any bytes under a `-bin` key."""
    if key.endswith("-bin"):
        return isinstance(value, bytes)
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None and _KEY.fullmatch(key) is not None
