"""Protobuf payloads of one message type: bytes in, document and names out.

Whatever a payload can do wrong comes out as MalformedMessage, so that nobody above needs to know protobuf's errors.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from sidecar.engine.document import Walkers
from sidecar.engine.message import JSON, NO_NAMES, Names
from sidecar.engine.names import Reader, read_names
from sidecar.errors import MalformedMessage

_NO_FORM = (ValueError, DecodeError, RecursionError, OverflowError)
"""What a payload can make a walker raise: no JSON form, a broken Any, too deep for the stack that is left."""


class ProtobufCodec:
    """Reads payloads of one message type."""

    __slots__ = ("_parse", "_sites", "_type", "_walk", "has_names")

    def __init__(self, descriptor: Descriptor, walkers: Walkers, reader: Reader) -> None:
        self._type = descriptor.full_name
        self._parse = GetMessageClass(descriptor).FromString
        self._walk = walkers.of(descriptor)
        self._sites = reader.sites(descriptor)
        self.has_names = bool(self._sites.ids or self._sites.inside)

    def parse(self, payload: bytes) -> Any:
        try:
            return self._parse(payload)
        except DecodeError as error:
            raise MalformedMessage(f"{len(payload)} bytes do not parse as {self._type}: {error}") from error

    def document(self, parsed: Any) -> JSON:
        """The JSON form. Raises MalformedMessage where there is none."""
        try:
            return self._walk(parsed)
        except _NO_FORM as error:
            raise MalformedMessage(f"{self._type} has no JSON form: {error}") from error

    def names(self, parsed: Any) -> Names:
        return read_names(self._sites, parsed) if self.has_names else NO_NAMES

    def __repr__(self) -> str:
        return f"<ProtobufCodec {self._type}>"
