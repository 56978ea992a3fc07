from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Recording(_message.Message):
    __slots__ = ("format", "code", "details", "messages", "headers", "trailers")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    format: int
    code: str
    details: str
    messages: _containers.RepeatedScalarFieldContainer[bytes]
    headers: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    trailers: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    def __init__(self, format: _Optional[int] = ..., code: _Optional[str] = ..., details: _Optional[str] = ..., messages: _Optional[_Iterable[bytes]] = ..., headers: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., trailers: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ...) -> None: ...

class MetadataEntry(_message.Message):
    __slots__ = ("key", "text", "raw")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    key: str
    text: str
    raw: bytes
    def __init__(self, key: _Optional[str] = ..., text: _Optional[str] = ..., raw: _Optional[bytes] = ...) -> None: ...
