"""A recording: a whole answer, as its caller received it, that can be given again byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from sidecar.engine.exchange import Metadata
from sidecar.v1 import state_pb2

FORMAT: Final = 1
"""Written into every recording. One of another format cannot be given again."""


class UnreadableRecording(Exception):
    """Bytes of a store that are no recording of a format that this version knows."""


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

    def to_bytes(self) -> bytes:
        """For a store (sidecar.v1.Recording)."""
        return state_pb2.Recording(
            format=FORMAT,
            code=self.code,
            details=self.details,
            messages=self.messages,
            headers=map(entry_of, self.headers),
            trailers=map(entry_of, self.trailers),
        ).SerializeToString()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Recording:
        """What `to_bytes` gave. Raises UnreadableRecording."""
        try:
            read = state_pb2.Recording.FromString(stored)
        except DecodeError as error:
            raise UnreadableRecording("no recording") from error
        if read.format != FORMAT or not read.code:
            raise UnreadableRecording(f"format {read.format}; this version reads {FORMAT}")
        return cls(read.code, read.details, tuple(read.messages), pairs_of(read.headers), pairs_of(read.trailers))


def entry_of(pair: tuple[str, str | bytes]) -> state_pb2.MetadataEntry:
    key, value = pair
    return state_pb2.MetadataEntry(key=key, **({"raw": value} if isinstance(value, bytes) else {"text": value}))


def pairs_of(entries: Iterable[state_pb2.MetadataEntry]) -> tuple[tuple[str, str | bytes], ...]:
    return tuple((entry.key, entry.raw if entry.WhichOneof("value") == "raw" else entry.text) for entry in entries)
