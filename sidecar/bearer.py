"""Bearer tokens, as a caller shows them (RFC 6750, section 2.1)."""

from __future__ import annotations

import hmac
from typing import Final

SCHEME: Final = "bearer "
"""In any case (RFC 9110, section 11.1)."""


def shown_in(authorization: object) -> bytes:
    """The token in an `Authorization` header; empty for anything else, which no token equals."""
    if not isinstance(authorization, str) or authorization[: len(SCHEME)].lower() != SCHEME:
        return b""
    return authorization[len(SCHEME) :].strip().encode("utf-8", "surrogateescape")


def is_same(shown: bytes, secret: bytes) -> bool:
    """In a time that tells nothing of the secret."""
    return hmac.compare_digest(shown, secret)
