"""Tokens: versions in a form that compares as a text, where they compare at all."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from sidecar.engine.message import JSON
from sidecar.engine.moments import moment_ns

_WHOLE: Final = re.compile(r"(-?)0*([0-9]{1,999})", re.ASCII)
_NINES: Final = str.maketrans("0123456789", "9876543210")

YEAR_ONE_NS: Final = 10**20
"""More than there are nanoseconds from year 1 to 1970, so that no moment is negative."""


def token_of(version: JSON) -> str:
    """`n...` for a whole number, `t...` for an RFC 3339 timestamp, `o...` for any other text or number; else empty.

    Numbers may be texts, as protobuf writes those of 64 bits.
    """
    if isinstance(version, bool) or not isinstance(version, int | float | str):
        return ""
    if isinstance(version, float) and version.is_integer():
        version = int(version)
    text = version if isinstance(version, str) else json.dumps(version)
    if found := _WHOLE.fullmatch(text):
        return number_token(found[1] == "-", found[2])
    if (moment := moment_ns(text)) is not None:
        return f"t{moment + YEAR_ONE_NS:021d}"
    return f"o{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def number_token(is_negative: bool, digits: str) -> str:
    """Sign, count of digits, digits: of negative numbers each turned round, so that the text compares as the number."""
    token = f"{len(digits):03d}{digits}"
    if is_negative and digits != "0":
        return f"n0{token.translate(_NINES)}"
    return f"n1{token}"


def unsaid(exchange_id: str) -> str:
    """The version that a write made and did not tell: newer than all that was seen, and equal to none."""
    return f"o?{exchange_id}"
