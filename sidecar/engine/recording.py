"""A recording: a whole answer, as its caller received it, that can be given again byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.engine.exchange import Metadata


@dataclass(frozen=True, slots=True)
class Recording:
    """What one callee answered once."""

    code: str
    """gRPC status name."""
    details: str = ""
    """The status message."""
    messages: tuple[bytes, ...] = ()
    headers: Metadata = ()
    trailers: Metadata = ()
    """With `grpc-status-details-bin`, where the callee sent it."""

    @property
    def size_bytes(self) -> int:
        """Payload bytes and metadata, as far as they matter for a limit."""
        metadata = sum(len(key) + len(value) for key, value in (*self.headers, *self.trailers))
        return sum(map(len, self.messages)) + metadata + len(self.details)
