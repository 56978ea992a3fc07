from sidecar.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("name", "version", "family", "sees", "blind_to", "max_evidence_bytes", "non_deterministic")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    SEES_FIELD_NUMBER: _ClassVar[int]
    BLIND_TO_FIELD_NUMBER: _ClassVar[int]
    MAX_EVIDENCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    NON_DETERMINISTIC_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    family: str
    sees: _containers.RepeatedScalarFieldContainer[str]
    blind_to: _containers.RepeatedScalarFieldContainer[str]
    max_evidence_bytes: int
    non_deterministic: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., family: _Optional[str] = ..., sees: _Optional[_Iterable[str]] = ..., blind_to: _Optional[_Iterable[str]] = ..., max_evidence_bytes: _Optional[int] = ..., non_deterministic: bool = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("exchange_id", "edge", "spec", "request_json", "response_json", "lineage", "parameters", "is_cut_off")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_JSON_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_JSON_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    IS_CUT_OFF_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    edge: _common_pb2.Edge
    spec: str
    request_json: bytes
    response_json: bytes
    lineage: _common_pb2.Lineage
    parameters: _containers.ScalarMap[str, str]
    is_cut_off: bool
    def __init__(self, exchange_id: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., spec: _Optional[str] = ..., request_json: _Optional[bytes] = ..., response_json: _Optional[bytes] = ..., lineage: _Optional[_Union[_common_pb2.Lineage, _Mapping]] = ..., parameters: _Optional[_Mapping[str, str]] = ..., is_cut_off: bool = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("exchange_id", "value", "score", "findings", "verifier", "version", "usage")
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Verdict.Value]
        PASS: _ClassVar[Verdict.Value]
        INCONCLUSIVE: _ClassVar[Verdict.Value]
        FAIL: _ClassVar[Verdict.Value]
    VALUE_UNSPECIFIED: Verdict.Value
    PASS: Verdict.Value
    INCONCLUSIVE: Verdict.Value
    FAIL: Verdict.Value
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    value: Verdict.Value
    score: float
    findings: _containers.RepeatedCompositeFieldContainer[_common_pb2.Finding]
    verifier: str
    version: str
    usage: Usage
    def __init__(self, exchange_id: _Optional[str] = ..., value: _Optional[_Union[Verdict.Value, str]] = ..., score: _Optional[float] = ..., findings: _Optional[_Iterable[_Union[_common_pb2.Finding, _Mapping]]] = ..., verifier: _Optional[str] = ..., version: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("model", "input_tokens", "output_tokens", "cost_micro_usd", "is_priced")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    IS_PRICED_FIELD_NUMBER: _ClassVar[int]
    model: str
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    is_priced: bool
    def __init__(self, model: _Optional[str] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_micro_usd: _Optional[int] = ..., is_priced: bool = ...) -> None: ...
