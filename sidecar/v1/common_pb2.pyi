from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Edge(_message.Message):
    __slots__ = ("caller", "callee", "method")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    caller: str
    callee: str
    method: str
    def __init__(self, caller: _Optional[str] = ..., callee: _Optional[str] = ..., method: _Optional[str] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("conversation", "trace_id", "hops")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    trace_id: str
    hops: int
    def __init__(self, conversation: _Optional[str] = ..., trace_id: _Optional[str] = ..., hops: _Optional[int] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("rule", "message", "pointer", "in_request")
    RULE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POINTER_FIELD_NUMBER: _ClassVar[int]
    IN_REQUEST_FIELD_NUMBER: _ClassVar[int]
    rule: str
    message: str
    pointer: str
    in_request: bool
    def __init__(self, rule: _Optional[str] = ..., message: _Optional[str] = ..., pointer: _Optional[str] = ..., in_request: bool = ...) -> None: ...
