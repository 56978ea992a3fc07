"""Attempts: a gRPC client that retries by itself says so in a header (gRFC A6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.engine.exchange import Exchange

ATTEMPTS_KEY: Final = "grpc-previous-rpc-attempts"
"""How often it has tried before. A first attempt does not carry it."""

DIGITS_MAX: Final = 9


def has_attempts(exchange: Exchange) -> bool:
    """Whether the call says that it was sent before. What is no number says nothing."""
    said = next((value for key, value in exchange.arrival.metadata if key == ATTEMPTS_KEY), "")
    return isinstance(said, str) and said.isdecimal() and int(said[:DIGITS_MAX]) > 0
