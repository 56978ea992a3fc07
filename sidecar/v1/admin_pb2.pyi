from google.protobuf import descriptor_pb2 as _descriptor_pb2
from sidecar.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_READ: _ClassVar[Role]
    ROLE_OPERATE: _ClassVar[Role]

class Reach(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REACH_UNSPECIFIED: _ClassVar[Reach]
    REACH_FLEET: _ClassVar[Reach]
    REACH_MACHINE: _ClassVar[Reach]
    REACH_PROCESS: _ClassVar[Reach]
    REACH_PROCESS_UNTIL_STORE_RETURNS: _ClassVar[Reach]

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_ROOT: _ClassVar[Level]
    LEVEL_ROUTE: _ClassVar[Level]
    LEVEL_SPEC: _ClassVar[Level]
    LEVEL_CHECK: _ClassVar[Level]
    LEVEL_VERIFIER: _ClassVar[Level]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_OBSERVE: _ClassVar[Mode]
    MODE_ENFORCE: _ClassVar[Mode]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_EXCHANGE_STARTED: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE: _ClassVar[EventKind]
    EVENT_KIND_FINDING: _ClassVar[EventKind]
    EVENT_KIND_EXCHANGE_ENDED: _ClassVar[EventKind]
    EVENT_KIND_CHANGE: _ClassVar[EventKind]
    EVENT_KIND_VERDICT: _ClassVar[EventKind]
    EVENT_KIND_CHARGE: _ClassVar[EventKind]
ROLE_UNSPECIFIED: Role
ROLE_READ: Role
ROLE_OPERATE: Role
REACH_UNSPECIFIED: Reach
REACH_FLEET: Reach
REACH_MACHINE: Reach
REACH_PROCESS: Reach
REACH_PROCESS_UNTIL_STORE_RETURNS: Reach
LEVEL_UNSPECIFIED: Level
LEVEL_ROOT: Level
LEVEL_ROUTE: Level
LEVEL_SPEC: Level
LEVEL_CHECK: Level
LEVEL_VERIFIER: Level
MODE_UNSPECIFIED: Mode
MODE_OBSERVE: Mode
MODE_ENFORCE: Mode
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_EXCHANGE_STARTED: EventKind
EVENT_KIND_MESSAGE: EventKind
EVENT_KIND_FINDING: EventKind
EVENT_KIND_EXCHANGE_ENDED: EventKind
EVENT_KIND_CHANGE: EventKind
EVENT_KIND_VERDICT: EventKind
EVENT_KIND_CHARGE: EventKind
REQUIRED_ROLE_FIELD_NUMBER: _ClassVar[int]
required_role: _descriptor.FieldDescriptor

class Change(_message.Message):
    __slots__ = ("reach", "survives_restart")
    REACH_FIELD_NUMBER: _ClassVar[int]
    SURVIVES_RESTART_FIELD_NUMBER: _ClassVar[int]
    reach: Reach
    survives_restart: bool
    def __init__(self, reach: _Optional[_Union[Reach, str]] = ..., survives_restart: bool = ...) -> None: ...

class Author(_message.Message):
    __slots__ = ("who", "at_unix_ms", "because")
    WHO_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    who: str
    at_unix_ms: int
    because: str
    def __init__(self, who: _Optional[str] = ..., at_unix_ms: _Optional[int] = ..., because: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Status(_message.Message):
    __slots__ = ("version", "agent", "mode", "started_unix_ms", "uptime_s", "is_ready", "routes", "store", "open_exchanges", "oldest_exchange_s", "changed_modes", "put_specs", "changed_budgets", "quarantined", "problems", "you", "role", "bounds")
    class QuarantinedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    IS_READY_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    OPEN_EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_EXCHANGE_S_FIELD_NUMBER: _ClassVar[int]
    CHANGED_MODES_FIELD_NUMBER: _ClassVar[int]
    PUT_SPECS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BUDGETS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    YOU_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    version: str
    agent: str
    mode: str
    started_unix_ms: int
    uptime_s: float
    is_ready: bool
    routes: _containers.RepeatedCompositeFieldContainer[RouteStatus]
    store: StoreStatus
    open_exchanges: int
    oldest_exchange_s: float
    changed_modes: _containers.RepeatedCompositeFieldContainer[ModeLevel]
    put_specs: _containers.RepeatedScalarFieldContainer[str]
    changed_budgets: _containers.RepeatedScalarFieldContainer[str]
    quarantined: _containers.ScalarMap[str, int]
    problems: _containers.RepeatedScalarFieldContainer[str]
    you: str
    role: Role
    bounds: _containers.RepeatedCompositeFieldContainer[Bound]
    def __init__(self, version: _Optional[str] = ..., agent: _Optional[str] = ..., mode: _Optional[str] = ..., started_unix_ms: _Optional[int] = ..., uptime_s: _Optional[float] = ..., is_ready: bool = ..., routes: _Optional[_Iterable[_Union[RouteStatus, _Mapping]]] = ..., store: _Optional[_Union[StoreStatus, _Mapping]] = ..., open_exchanges: _Optional[int] = ..., oldest_exchange_s: _Optional[float] = ..., changed_modes: _Optional[_Iterable[_Union[ModeLevel, _Mapping]]] = ..., put_specs: _Optional[_Iterable[str]] = ..., changed_budgets: _Optional[_Iterable[str]] = ..., quarantined: _Optional[_Mapping[str, int]] = ..., problems: _Optional[_Iterable[str]] = ..., you: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., bounds: _Optional[_Iterable[_Union[Bound, _Mapping]]] = ...) -> None: ...

class RouteStatus(_message.Message):
    __slots__ = ("name", "listen", "upstream", "caller", "callee", "side", "mode")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LISTEN_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    listen: str
    upstream: str
    caller: str
    callee: str
    side: str
    mode: str
    def __init__(self, name: _Optional[str] = ..., listen: _Optional[str] = ..., upstream: _Optional[str] = ..., caller: _Optional[str] = ..., callee: _Optional[str] = ..., side: _Optional[str] = ..., mode: _Optional[str] = ...) -> None: ...

class StoreStatus(_message.Message):
    __slots__ = ("kind", "is_away", "revision", "untold")
    KIND_FIELD_NUMBER: _ClassVar[int]
    IS_AWAY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    UNTOLD_FIELD_NUMBER: _ClassVar[int]
    kind: str
    is_away: bool
    revision: int
    untold: int
    def __init__(self, kind: _Optional[str] = ..., is_away: bool = ..., revision: _Optional[int] = ..., untold: _Optional[int] = ...) -> None: ...

class Bound(_message.Message):
    __slots__ = ("what", "kept", "at_most", "forgotten")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    what: str
    kept: int
    at_most: int
    forgotten: int
    def __init__(self, what: _Optional[str] = ..., kept: _Optional[int] = ..., at_most: _Optional[int] = ..., forgotten: _Optional[int] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EffectiveConfig(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    def __init__(self, json: _Optional[bytes] = ...) -> None: ...

class ListAgentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAgentsResponse(_message.Message):
    __slots__ = ("agents", "next_page_token")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[Agent]
    next_page_token: str
    def __init__(self, agents: _Optional[_Iterable[_Union[Agent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("name", "as_caller", "as_callee", "last_seen_unix_ms", "is_quarantined")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AS_CALLER_FIELD_NUMBER: _ClassVar[int]
    AS_CALLEE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    IS_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    name: str
    as_caller: Traffic
    as_callee: Traffic
    last_seen_unix_ms: int
    is_quarantined: bool
    def __init__(self, name: _Optional[str] = ..., as_caller: _Optional[_Union[Traffic, _Mapping]] = ..., as_callee: _Optional[_Union[Traffic, _Mapping]] = ..., last_seen_unix_ms: _Optional[int] = ..., is_quarantined: bool = ...) -> None: ...

class Traffic(_message.Message):
    __slots__ = ("exchanges", "open", "errors", "refused", "replayed", "findings", "cost_micro_usd", "loops")
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    COST_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    exchanges: int
    open: int
    errors: int
    refused: int
    replayed: int
    findings: int
    cost_micro_usd: int
    loops: int
    def __init__(self, exchanges: _Optional[int] = ..., open: _Optional[int] = ..., errors: _Optional[int] = ..., refused: _Optional[int] = ..., replayed: _Optional[int] = ..., findings: _Optional[int] = ..., cost_micro_usd: _Optional[int] = ..., loops: _Optional[int] = ...) -> None: ...

class ListEdgesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "agent")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    agent: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., agent: _Optional[str] = ...) -> None: ...

class ListEdgesResponse(_message.Message):
    __slots__ = ("edges", "next_page_token")
    EDGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedCompositeFieldContainer[EdgeSummary]
    next_page_token: str
    def __init__(self, edges: _Optional[_Iterable[_Union[EdgeSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EdgeSummary(_message.Message):
    __slots__ = ("edge", "side", "total", "recent", "last_seen_unix_ms", "is_quarantined", "spec")
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    IS_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    edge: _common_pb2.Edge
    side: str
    total: Traffic
    recent: Recent
    last_seen_unix_ms: int
    is_quarantined: bool
    spec: str
    def __init__(self, edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., side: _Optional[str] = ..., total: _Optional[_Union[Traffic, _Mapping]] = ..., recent: _Optional[_Union[Recent, _Mapping]] = ..., last_seen_unix_ms: _Optional[int] = ..., is_quarantined: bool = ..., spec: _Optional[str] = ...) -> None: ...

class Recent(_message.Message):
    __slots__ = ("window_s", "exchanges", "errors", "refused", "rate_per_s", "median_s", "p95_s", "cost_micro_usd")
    WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    RATE_PER_S_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_S_FIELD_NUMBER: _ClassVar[int]
    P95_S_FIELD_NUMBER: _ClassVar[int]
    COST_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    window_s: float
    exchanges: int
    errors: int
    refused: int
    rate_per_s: float
    median_s: float
    p95_s: float
    cost_micro_usd: int
    def __init__(self, window_s: _Optional[float] = ..., exchanges: _Optional[int] = ..., errors: _Optional[int] = ..., refused: _Optional[int] = ..., rate_per_s: _Optional[float] = ..., median_s: _Optional[float] = ..., p95_s: _Optional[float] = ..., cost_micro_usd: _Optional[int] = ...) -> None: ...

class ListExchangesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "agent", "min_age_s")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    MIN_AGE_S_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    agent: str
    min_age_s: float
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., agent: _Optional[str] = ..., min_age_s: _Optional[float] = ...) -> None: ...

class ListExchangesResponse(_message.Message):
    __slots__ = ("exchanges", "next_page_token")
    EXCHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    exchanges: _containers.RepeatedCompositeFieldContainer[OpenExchange]
    next_page_token: str
    def __init__(self, exchanges: _Optional[_Iterable[_Union[OpenExchange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class OpenExchange(_message.Message):
    __slots__ = ("exchange_id", "edge", "side", "route", "lineage", "started_unix_ms", "age_s", "requests", "responses", "is_dispatched", "size_bytes")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    IS_DISPATCHED_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    edge: _common_pb2.Edge
    side: str
    route: str
    lineage: _common_pb2.Lineage
    started_unix_ms: int
    age_s: float
    requests: int
    responses: int
    is_dispatched: bool
    size_bytes: int
    def __init__(self, exchange_id: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., side: _Optional[str] = ..., route: _Optional[str] = ..., lineage: _Optional[_Union[_common_pb2.Lineage, _Mapping]] = ..., started_unix_ms: _Optional[int] = ..., age_s: _Optional[float] = ..., requests: _Optional[int] = ..., responses: _Optional[int] = ..., is_dispatched: bool = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ListConversationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "agent", "with_findings")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    WITH_FINDINGS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    agent: str
    with_findings: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., agent: _Optional[str] = ..., with_findings: bool = ...) -> None: ...

class ListConversationsResponse(_message.Message):
    __slots__ = ("conversations", "next_page_token")
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    conversations: _containers.RepeatedCompositeFieldContainer[ConversationSummary]
    next_page_token: str
    def __init__(self, conversations: _Optional[_Iterable[_Union[ConversationSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ConversationSummary(_message.Message):
    __slots__ = ("conversation", "first_seen_unix_ms", "last_seen_unix_ms", "total", "agents", "is_quarantined", "began_with")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    IS_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    BEGAN_WITH_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    first_seen_unix_ms: int
    last_seen_unix_ms: int
    total: Traffic
    agents: _containers.RepeatedScalarFieldContainer[str]
    is_quarantined: bool
    began_with: str
    def __init__(self, conversation: _Optional[str] = ..., first_seen_unix_ms: _Optional[int] = ..., last_seen_unix_ms: _Optional[int] = ..., total: _Optional[_Union[Traffic, _Mapping]] = ..., agents: _Optional[_Iterable[str]] = ..., is_quarantined: bool = ..., began_with: _Optional[str] = ...) -> None: ...

class GetConversationRequest(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    def __init__(self, conversation: _Optional[str] = ...) -> None: ...

class Conversation(_message.Message):
    __slots__ = ("summary", "graph", "budgets", "loops", "timeline", "missing")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    summary: ConversationSummary
    graph: _containers.RepeatedCompositeFieldContainer[ConversationEdge]
    budgets: _containers.RepeatedCompositeFieldContainer[Account]
    loops: _containers.RepeatedCompositeFieldContainer[Loop]
    timeline: _containers.RepeatedCompositeFieldContainer[TimelineEntry]
    missing: int
    def __init__(self, summary: _Optional[_Union[ConversationSummary, _Mapping]] = ..., graph: _Optional[_Iterable[_Union[ConversationEdge, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[Account, _Mapping]]] = ..., loops: _Optional[_Iterable[_Union[Loop, _Mapping]]] = ..., timeline: _Optional[_Iterable[_Union[TimelineEntry, _Mapping]]] = ..., missing: _Optional[int] = ...) -> None: ...

class ConversationEdge(_message.Message):
    __slots__ = ("edge", "side", "total")
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    edge: _common_pb2.Edge
    side: str
    total: Traffic
    def __init__(self, edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., side: _Optional[str] = ..., total: _Optional[_Union[Traffic, _Mapping]] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("exchange_id", "edge", "side", "trace_id", "span_id", "parent_span_id", "cause_exchange_id", "joined_by", "hops", "started_unix_ms", "duration_s", "is_open", "code", "decision", "reason", "requests", "responses", "cost_micro_usd", "findings", "findings_missing", "spec")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    JOINED_BY_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    IS_OPEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    COST_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_MISSING_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    edge: _common_pb2.Edge
    side: str
    trace_id: str
    span_id: str
    parent_span_id: str
    cause_exchange_id: str
    joined_by: str
    hops: int
    started_unix_ms: int
    duration_s: float
    is_open: bool
    code: str
    decision: str
    reason: str
    requests: int
    responses: int
    cost_micro_usd: int
    findings: _containers.RepeatedCompositeFieldContainer[CheckFinding]
    findings_missing: int
    spec: str
    def __init__(self, exchange_id: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., side: _Optional[str] = ..., trace_id: _Optional[str] = ..., span_id: _Optional[str] = ..., parent_span_id: _Optional[str] = ..., cause_exchange_id: _Optional[str] = ..., joined_by: _Optional[str] = ..., hops: _Optional[int] = ..., started_unix_ms: _Optional[int] = ..., duration_s: _Optional[float] = ..., is_open: bool = ..., code: _Optional[str] = ..., decision: _Optional[str] = ..., reason: _Optional[str] = ..., requests: _Optional[int] = ..., responses: _Optional[int] = ..., cost_micro_usd: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[CheckFinding, _Mapping]]] = ..., findings_missing: _Optional[int] = ..., spec: _Optional[str] = ...) -> None: ...

class CheckFinding(_message.Message):
    __slots__ = ("check", "rule", "severity", "message", "action", "spec", "pointer", "at_unix_ms")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    POINTER_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    check: str
    rule: str
    severity: str
    message: str
    action: str
    spec: str
    pointer: str
    at_unix_ms: int
    def __init__(self, check: _Optional[str] = ..., rule: _Optional[str] = ..., severity: _Optional[str] = ..., message: _Optional[str] = ..., action: _Optional[str] = ..., spec: _Optional[str] = ..., pointer: _Optional[str] = ..., at_unix_ms: _Optional[int] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "callee", "stuck_only")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    STUCK_ONLY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    callee: str
    stuck_only: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., callee: _Optional[str] = ..., stuck_only: bool = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token", "census")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CENSUS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    next_page_token: str
    census: _containers.RepeatedCompositeFieldContainer[TaskCensus]
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., census: _Optional[_Iterable[_Union[TaskCensus, _Mapping]]] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("callee", "task", "state", "is_terminal", "for_s", "idle_s", "is_stuck", "caller", "method", "exchange_id", "conversation", "is_quarantined")
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_TERMINAL_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    IDLE_S_FIELD_NUMBER: _ClassVar[int]
    IS_STUCK_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    IS_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    callee: str
    task: str
    state: str
    is_terminal: bool
    for_s: float
    idle_s: float
    is_stuck: bool
    caller: str
    method: str
    exchange_id: str
    conversation: str
    is_quarantined: bool
    def __init__(self, callee: _Optional[str] = ..., task: _Optional[str] = ..., state: _Optional[str] = ..., is_terminal: bool = ..., for_s: _Optional[float] = ..., idle_s: _Optional[float] = ..., is_stuck: bool = ..., caller: _Optional[str] = ..., method: _Optional[str] = ..., exchange_id: _Optional[str] = ..., conversation: _Optional[str] = ..., is_quarantined: bool = ...) -> None: ...

class TaskCensus(_message.Message):
    __slots__ = ("callee", "states", "stuck")
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    STUCK_FIELD_NUMBER: _ClassVar[int]
    callee: str
    states: _containers.ScalarMap[str, int]
    stuck: int
    def __init__(self, callee: _Optional[str] = ..., states: _Optional[_Mapping[str, int]] = ..., stuck: _Optional[int] = ...) -> None: ...

class ListSpecsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSpecsResponse(_message.Message):
    __slots__ = ("specs", "next_page_token", "problems")
    SPECS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    specs: _containers.RepeatedCompositeFieldContainer[Spec]
    next_page_token: str
    problems: _containers.RepeatedCompositeFieldContainer[Mistake]
    def __init__(self, specs: _Optional[_Iterable[_Union[Spec, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., problems: _Optional[_Iterable[_Union[Mistake, _Mapping]]] = ...) -> None: ...

class Spec(_message.Message):
    __slots__ = ("name", "caller", "callee", "method", "mode", "promises", "source", "text", "put", "replaces_file")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PROMISES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FILE_FIELD_NUMBER: _ClassVar[int]
    name: str
    caller: str
    callee: str
    method: str
    mode: str
    promises: _containers.RepeatedScalarFieldContainer[str]
    source: str
    text: str
    put: Author
    replaces_file: bool
    def __init__(self, name: _Optional[str] = ..., caller: _Optional[str] = ..., callee: _Optional[str] = ..., method: _Optional[str] = ..., mode: _Optional[str] = ..., promises: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., text: _Optional[str] = ..., put: _Optional[_Union[Author, _Mapping]] = ..., replaces_file: bool = ...) -> None: ...

class GetSpecRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class MatchSpecRequest(_message.Message):
    __slots__ = ("edge",)
    EDGE_FIELD_NUMBER: _ClassVar[int]
    edge: _common_pb2.Edge
    def __init__(self, edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ...) -> None: ...

class MatchSpecResponse(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: Spec
    def __init__(self, spec: _Optional[_Union[Spec, _Mapping]] = ...) -> None: ...

class ValidateSpecRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class ValidateSpecResponse(_message.Message):
    __slots__ = ("mistakes", "name")
    MISTAKES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    mistakes: _containers.RepeatedCompositeFieldContainer[Mistake]
    name: str
    def __init__(self, mistakes: _Optional[_Iterable[_Union[Mistake, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class Mistake(_message.Message):
    __slots__ = ("where", "found", "allowed")
    WHERE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    where: str
    found: str
    allowed: str
    def __init__(self, where: _Optional[str] = ..., found: _Optional[str] = ..., allowed: _Optional[str] = ...) -> None: ...

class PutSpecRequest(_message.Message):
    __slots__ = ("text", "because")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    text: str
    because: str
    def __init__(self, text: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class PutSpecResponse(_message.Message):
    __slots__ = ("spec", "change")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    spec: Spec
    change: Change
    def __init__(self, spec: _Optional[_Union[Spec, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class DeleteSpecRequest(_message.Message):
    __slots__ = ("name", "because")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    because: str
    def __init__(self, name: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class ListVerifiersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListVerifiersResponse(_message.Message):
    __slots__ = ("verifiers", "next_page_token")
    VERIFIERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    verifiers: _containers.RepeatedCompositeFieldContainer[VerifierStatus]
    next_page_token: str
    def __init__(self, verifiers: _Optional[_Iterable[_Union[VerifierStatus, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifierStatus(_message.Message):
    __slots__ = ("name", "address", "mode", "fail", "is_skipped", "scorecard")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FAIL_FIELD_NUMBER: _ClassVar[int]
    IS_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    mode: str
    fail: str
    is_skipped: bool
    scorecard: Scorecard
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., mode: _Optional[str] = ..., fail: _Optional[str] = ..., is_skipped: bool = ..., scorecard: _Optional[_Union[Scorecard, _Mapping]] = ...) -> None: ...

class Scorecard(_message.Message):
    __slots__ = ("asked", "passed", "failed", "inconclusive", "failures", "dissents", "mean_s", "slowest_s", "last_asked_unix_ms", "version")
    class FailuresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ASKED_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    INCONCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    DISSENTS_FIELD_NUMBER: _ClassVar[int]
    MEAN_S_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_S_FIELD_NUMBER: _ClassVar[int]
    LAST_ASKED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    asked: int
    passed: int
    failed: int
    inconclusive: int
    failures: _containers.ScalarMap[str, int]
    dissents: int
    mean_s: float
    slowest_s: float
    last_asked_unix_ms: int
    version: str
    def __init__(self, asked: _Optional[int] = ..., passed: _Optional[int] = ..., failed: _Optional[int] = ..., inconclusive: _Optional[int] = ..., failures: _Optional[_Mapping[str, int]] = ..., dissents: _Optional[int] = ..., mean_s: _Optional[float] = ..., slowest_s: _Optional[float] = ..., last_asked_unix_ms: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "accounts")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    accounts: int
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., accounts: _Optional[int] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ("budgets", "next_page_token")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    next_page_token: str
    def __init__(self, budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("name", "scope", "window", "configured_limit_micro_usd", "limit_micro_usd", "is_changed", "warn_at", "mode", "accounts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_LIMIT_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    IS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    WARN_AT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    scope: str
    window: str
    configured_limit_micro_usd: int
    limit_micro_usd: int
    is_changed: bool
    warn_at: float
    mode: str
    accounts: _containers.RepeatedCompositeFieldContainer[Account]
    def __init__(self, name: _Optional[str] = ..., scope: _Optional[str] = ..., window: _Optional[str] = ..., configured_limit_micro_usd: _Optional[int] = ..., limit_micro_usd: _Optional[int] = ..., is_changed: bool = ..., warn_at: _Optional[float] = ..., mode: _Optional[str] = ..., accounts: _Optional[_Iterable[_Union[Account, _Mapping]]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("budget", "account", "spent_micro_usd", "held_micro_usd", "limit_micro_usd")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SPENT_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    HELD_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    budget: str
    account: str
    spent_micro_usd: int
    held_micro_usd: int
    limit_micro_usd: int
    def __init__(self, budget: _Optional[str] = ..., account: _Optional[str] = ..., spent_micro_usd: _Optional[int] = ..., held_micro_usd: _Optional[int] = ..., limit_micro_usd: _Optional[int] = ...) -> None: ...

class SetBudgetLimitRequest(_message.Message):
    __slots__ = ("budget", "limit_micro_usd", "configured", "because")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    budget: str
    limit_micro_usd: int
    configured: bool
    because: str
    def __init__(self, budget: _Optional[str] = ..., limit_micro_usd: _Optional[int] = ..., configured: bool = ..., because: _Optional[str] = ...) -> None: ...

class SetBudgetLimitResponse(_message.Message):
    __slots__ = ("budget", "change")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    change: Change
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class ResetBudgetRequest(_message.Message):
    __slots__ = ("budget", "account", "because")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    budget: str
    account: str
    because: str
    def __init__(self, budget: _Optional[str] = ..., account: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class ResetBudgetResponse(_message.Message):
    __slots__ = ("account", "forgotten_micro_usd", "change")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    account: Account
    forgotten_micro_usd: int
    change: Change
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ..., forgotten_micro_usd: _Optional[int] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class ListLoopsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "conversation")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    conversation: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., conversation: _Optional[str] = ...) -> None: ...

class ListLoopsResponse(_message.Message):
    __slots__ = ("loops", "next_page_token")
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    loops: _containers.RepeatedCompositeFieldContainer[Loop]
    next_page_token: str
    def __init__(self, loops: _Optional[_Iterable[_Union[Loop, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Loop(_message.Message):
    __slots__ = ("id", "conversation", "edge", "kind", "until_unix_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    conversation: str
    edge: _common_pb2.Edge
    kind: str
    until_unix_ms: int
    def __init__(self, id: _Optional[str] = ..., conversation: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., kind: _Optional[str] = ..., until_unix_ms: _Optional[int] = ...) -> None: ...

class ResumeLoopRequest(_message.Message):
    __slots__ = ("id", "because")
    ID_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    id: str
    because: str
    def __init__(self, id: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("agent", "edge", "conversation", "task")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    agent: str
    edge: _common_pb2.Edge
    conversation: str
    task: TaskTarget
    def __init__(self, agent: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., conversation: _Optional[str] = ..., task: _Optional[_Union[TaskTarget, _Mapping]] = ...) -> None: ...

class TaskTarget(_message.Message):
    __slots__ = ("callee", "task")
    CALLEE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    callee: str
    task: str
    def __init__(self, callee: _Optional[str] = ..., task: _Optional[str] = ...) -> None: ...

class ListQuarantinesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "kind")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    kind: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ListQuarantinesResponse(_message.Message):
    __slots__ = ("quarantines", "next_page_token")
    QUARANTINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    quarantines: _containers.RepeatedCompositeFieldContainer[Quarantined]
    next_page_token: str
    def __init__(self, quarantines: _Optional[_Iterable[_Union[Quarantined, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Quarantined(_message.Message):
    __slots__ = ("target", "author", "until_unix_ms", "spares_open", "is_local")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    SPARES_OPEN_FIELD_NUMBER: _ClassVar[int]
    IS_LOCAL_FIELD_NUMBER: _ClassVar[int]
    target: Target
    author: Author
    until_unix_ms: int
    spares_open: bool
    is_local: bool
    def __init__(self, target: _Optional[_Union[Target, _Mapping]] = ..., author: _Optional[_Union[Author, _Mapping]] = ..., until_unix_ms: _Optional[int] = ..., spares_open: bool = ..., is_local: bool = ...) -> None: ...

class QuarantineRequest(_message.Message):
    __slots__ = ("target", "because", "for_s", "spare_open")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    SPARE_OPEN_FIELD_NUMBER: _ClassVar[int]
    target: Target
    because: str
    for_s: float
    spare_open: bool
    def __init__(self, target: _Optional[_Union[Target, _Mapping]] = ..., because: _Optional[str] = ..., for_s: _Optional[float] = ..., spare_open: bool = ...) -> None: ...

class QuarantineResponse(_message.Message):
    __slots__ = ("quarantined", "change")
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    quarantined: Quarantined
    change: Change
    def __init__(self, quarantined: _Optional[_Union[Quarantined, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("target", "because")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    target: Target
    because: str
    def __init__(self, target: _Optional[_Union[Target, _Mapping]] = ..., because: _Optional[str] = ...) -> None: ...

class ListModesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModesResponse(_message.Message):
    __slots__ = ("modes", "next_page_token")
    MODES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    modes: _containers.RepeatedCompositeFieldContainer[ModeLevel]
    next_page_token: str
    def __init__(self, modes: _Optional[_Iterable[_Union[ModeLevel, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ModeLevel(_message.Message):
    __slots__ = ("level", "name", "configured", "changed", "effective", "widens", "author")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    WIDENS_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    configured: Mode
    changed: Mode
    effective: Mode
    widens: bool
    author: Author
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., configured: _Optional[_Union[Mode, str]] = ..., changed: _Optional[_Union[Mode, str]] = ..., effective: _Optional[_Union[Mode, str]] = ..., widens: bool = ..., author: _Optional[_Union[Author, _Mapping]] = ...) -> None: ...

class SetModeRequest(_message.Message):
    __slots__ = ("level", "name", "mode", "because")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    mode: Mode
    because: str
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., because: _Optional[str] = ...) -> None: ...

class SetModeResponse(_message.Message):
    __slots__ = ("mode", "change")
    MODE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    mode: ModeLevel
    change: Change
    def __init__(self, mode: _Optional[_Union[ModeLevel, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class ClearModeRequest(_message.Message):
    __slots__ = ("level", "name", "because")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    because: str
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., because: _Optional[str] = ...) -> None: ...

class TailRequest(_message.Message):
    __slots__ = ("kinds", "agent", "conversation", "method", "min_severity", "buffer")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MIN_SEVERITY_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    agent: str
    conversation: str
    method: str
    min_severity: str
    buffer: int
    def __init__(self, kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., agent: _Optional[str] = ..., conversation: _Optional[str] = ..., method: _Optional[str] = ..., min_severity: _Optional[str] = ..., buffer: _Optional[int] = ...) -> None: ...

class TailEvent(_message.Message):
    __slots__ = ("number", "at_unix_ms", "dropped", "subject", "exchange_started", "message", "finding", "exchange_ended", "change", "verdict", "charge", "alive")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_STARTED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_ENDED_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_unix_ms: int
    dropped: int
    subject: Subject
    exchange_started: ExchangeStarted
    message: MessagePassed
    finding: CheckFinding
    exchange_ended: ExchangeEnded
    change: AdminChange
    verdict: VerdictGiven
    charge: ChargeMade
    alive: Alive
    def __init__(self, number: _Optional[int] = ..., at_unix_ms: _Optional[int] = ..., dropped: _Optional[int] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., exchange_started: _Optional[_Union[ExchangeStarted, _Mapping]] = ..., message: _Optional[_Union[MessagePassed, _Mapping]] = ..., finding: _Optional[_Union[CheckFinding, _Mapping]] = ..., exchange_ended: _Optional[_Union[ExchangeEnded, _Mapping]] = ..., change: _Optional[_Union[AdminChange, _Mapping]] = ..., verdict: _Optional[_Union[VerdictGiven, _Mapping]] = ..., charge: _Optional[_Union[ChargeMade, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("exchange_id", "edge", "side", "route", "lineage")
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    edge: _common_pb2.Edge
    side: str
    route: str
    lineage: _common_pb2.Lineage
    def __init__(self, exchange_id: _Optional[str] = ..., edge: _Optional[_Union[_common_pb2.Edge, _Mapping]] = ..., side: _Optional[str] = ..., route: _Optional[str] = ..., lineage: _Optional[_Union[_common_pb2.Lineage, _Mapping]] = ...) -> None: ...

class ExchangeStarted(_message.Message):
    __slots__ = ("joined_by", "spec")
    JOINED_BY_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    joined_by: str
    spec: str
    def __init__(self, joined_by: _Optional[str] = ..., spec: _Optional[str] = ...) -> None: ...

class MessagePassed(_message.Message):
    __slots__ = ("direction", "sequence", "size_bytes")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    direction: str
    sequence: int
    size_bytes: int
    def __init__(self, direction: _Optional[str] = ..., sequence: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ExchangeEnded(_message.Message):
    __slots__ = ("code", "decision", "reason", "duration_s", "overhead_s", "requests", "responses")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_S_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    code: str
    decision: str
    reason: str
    duration_s: float
    overhead_s: float
    requests: int
    responses: int
    def __init__(self, code: _Optional[str] = ..., decision: _Optional[str] = ..., reason: _Optional[str] = ..., duration_s: _Optional[float] = ..., overhead_s: _Optional[float] = ..., requests: _Optional[int] = ..., responses: _Optional[int] = ...) -> None: ...

class AdminChange(_message.Message):
    __slots__ = ("method", "who", "what", "because", "outcome")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    method: str
    who: str
    what: str
    because: str
    outcome: str
    def __init__(self, method: _Optional[str] = ..., who: _Optional[str] = ..., what: _Optional[str] = ..., because: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...

class VerdictGiven(_message.Message):
    __slots__ = ("verifier", "verdict", "failure", "duration_s")
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    verifier: str
    verdict: str
    failure: str
    duration_s: float
    def __init__(self, verifier: _Optional[str] = ..., verdict: _Optional[str] = ..., failure: _Optional[str] = ..., duration_s: _Optional[float] = ...) -> None: ...

class ChargeMade(_message.Message):
    __slots__ = ("agent", "model", "cost_micro_usd", "source")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    COST_MICRO_USD_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    agent: str
    model: str
    cost_micro_usd: int
    source: str
    def __init__(self, agent: _Optional[str] = ..., model: _Optional[str] = ..., cost_micro_usd: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class Alive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("conversation", "since_unix_ms", "until_unix_ms", "limit")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    since_unix_ms: int
    until_unix_ms: int
    limit: int
    def __init__(self, conversation: _Optional[str] = ..., since_unix_ms: _Optional[int] = ..., until_unix_ms: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ReplayResult(_message.Message):
    __slots__ = ("difference", "summary")
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    difference: ReplayDifference
    summary: ReplaySummary
    def __init__(self, difference: _Optional[_Union[ReplayDifference, _Mapping]] = ..., summary: _Optional[_Union[ReplaySummary, _Mapping]] = ...) -> None: ...

class ReplayDifference(_message.Message):
    __slots__ = ("subject", "at_unix_ms", "was", "would_be", "findings")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    WAS_FIELD_NUMBER: _ClassVar[int]
    WOULD_BE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    subject: Subject
    at_unix_ms: int
    was: str
    would_be: str
    findings: _containers.RepeatedCompositeFieldContainer[CheckFinding]
    def __init__(self, subject: _Optional[_Union[Subject, _Mapping]] = ..., at_unix_ms: _Optional[int] = ..., was: _Optional[str] = ..., would_be: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[CheckFinding, _Mapping]]] = ...) -> None: ...

class ReplaySummary(_message.Message):
    __slots__ = ("replayed", "differences", "without_content")
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_CONTENT_FIELD_NUMBER: _ClassVar[int]
    replayed: int
    differences: int
    without_content: int
    def __init__(self, replayed: _Optional[int] = ..., differences: _Optional[int] = ..., without_content: _Optional[int] = ...) -> None: ...
