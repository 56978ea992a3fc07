from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LineageEntry(_message.Message):
    __slots__ = ("key_id", "body", "mac")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    body: bytes
    mac: bytes
    def __init__(self, key_id: _Optional[str] = ..., body: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class LineageBody(_message.Message):
    __slots__ = ("exchange_id", "conversation", "trace_id", "caller", "callee", "hops", "path", "remainder_micro_usd", "issued_unix_ms", "expires_unix_ms", "stamp")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REMAINDER_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    ISSUED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    conversation: str
    trace_id: str
    caller: str
    callee: str
    hops: int
    path: _containers.RepeatedScalarFieldContainer[str]
    remainder_micro_usd: int
    issued_unix_ms: int
    expires_unix_ms: int
    stamp: int
    def __init__(self, exchange_id: _Optional[str] = ..., conversation: _Optional[str] = ..., trace_id: _Optional[str] = ..., caller: _Optional[str] = ..., callee: _Optional[str] = ..., hops: _Optional[int] = ..., path: _Optional[_Iterable[str]] = ..., remainder_micro_usd: _Optional[int] = ..., issued_unix_ms: _Optional[int] = ..., expires_unix_ms: _Optional[int] = ..., stamp: _Optional[int] = ...) -> None: ...
