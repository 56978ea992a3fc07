"""What an operator says of a verifier, and how its channel is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grpc import aio

from sidecar.engine.exchange import Mode
from sidecar.tls import ClientTls

VERDICT_BYTES = 1 << 20
"""Largest answer of a verifier. A verdict is a word, a number and some sentences."""


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """One verifier."""

    name: str
    target: str
    """What grpc dials: `host:port` or `unix:/path`."""
    mode: Mode | None = None
    """None inherits the route's."""
    timeout_s: float = 0.5
    fail: Literal["open", "closed"] = "open"
    breaker_failures: int = 5
    """Failures in a row after which it is skipped."""
    breaker_cooldown_s: float = 30.0
    """Seconds until it is tried again, with one question."""
    tls: ClientTls | None = None


def open_channel(settings: VerifierSettings) -> aio.Channel:
    """A channel of its own. It dials when it is first used."""
    options = channel_options(settings)
    if settings.tls is None:
        return aio.insecure_channel(settings.target, options=options)
    return aio.secure_channel(settings.target, settings.tls.credentials, options=options)


def channel_options(settings: VerifierSettings) -> Sequence[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", VERDICT_BYTES),
        # Two verifiers at one address are still two: what spoils one connection leaves the other alone.
        ("grpc.use_local_subchannel_pool", 1),
        # A restarted verifier should be back within a second; the breaker is what spares one that stays away.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # grpc would ask again by itself where a connection breaks; here one question is asked once.
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    return [*options, *settings.tls.options] if settings.tls is not None else options
