"""Every span, attribute, metric and label name of the product, with its meaning: the one table that docs come from.

Attribute names that are not ours come from the OpenTelemetry semantic conventions (RPC v1.44, GenAI and A2A in
development) and are spelled out here, because the conventions' own package trails them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OTHER_METHOD = "_OTHER"
"""Stands for every method that nobody described, configured or saw succeed (OpenTelemetry's word)."""

OTHER_SERIES = "_other"
"""The value of every label of the one series that takes what a metric's limit refused."""

SCOPE = "sidecar"
"""Instrumentation scope of our spans."""

Kind = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a span, an event or the resource."""

    name: str
    type: str
    help: str
    source: str
    """`rpc`, `gen_ai`, `a2a`, `otel` for the conventions, `sidecar` for ours."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as a scrape shows it."""

    name: str
    kind: Kind
    help: str
    unit: str
    """Base unit (Prometheus): seconds, bytes, usd; empty for a plain count."""
    labels: tuple[str, ...]
    query: str
    """An example that answers a question somebody has."""
    buckets: tuple[float, ...] = ()
    bound: str = ""
    """How many series it can have, where it is not `metrics.max_series` that limits them: gauges read at the scrape."""

    @property
    def samples_each(self) -> int:
        """Series that a scrape shows of one set of labels: of a histogram its buckets, `+Inf`, count and sum."""
        return len(self.buckets) + 3 if self.kind == "histogram" else 1

    @property
    def family(self) -> str:
        """The name as OpenMetrics gives it to a family: without the suffix that its kind implies."""
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return self.name.removesuffix(suffix)


ATTRIBUTES: list[Attribute] = []
METRICS: list[Metric] = []


def _attribute(name: str, type_: str, source: str, help_: str) -> str:
    ATTRIBUTES.append(Attribute(name, type_, help_, source))
    return name


def _metric(metric: Metric) -> Metric:
    METRICS.append(metric)
    return metric


def _counter(name: str, labels: str, help_: str, query: str, unit: str = "") -> Metric:
    return _metric(Metric(f"sidecar_{name}", "counter", help_, unit, tuple(labels.split()), query))


def _gauge(name: str, labels: str, help_: str, query: str, bound: str, unit: str = "") -> Metric:
    return _metric(Metric(f"sidecar_{name}", "gauge", help_, unit, tuple(labels.split()), query, bound=bound))


def _histogram(name: str, labels: str, help_: str, query: str, unit: str, buckets: tuple[float, ...]) -> Metric:
    return _metric(Metric(f"sidecar_{name}", "histogram", help_, unit, tuple(labels.split()), query, buckets))


# --- Spans -------------------------------------------------------------------------------------------------------

FINDING_EVENT = "sidecar.finding"
"""Span event, one for each finding up to a limit."""

RPC_SYSTEM = _attribute("rpc.system.name", "string", "rpc", "Always `grpc`.")
RPC_METHOD = _attribute("rpc.method", "string", "rpc", "`pkg.Service/Method`, or `_OTHER` where nobody knows it.")
RPC_METHOD_ORIGINAL = _attribute("rpc.method_original", "string", "rpc", "What was called, if rpc.method is `_OTHER`.")
RPC_STATUS_CODE = _attribute("rpc.response.status_code", "string", "rpc", "gRPC status name, `OK`, `NOT_FOUND`.")
ERROR_TYPE = _attribute("error.type", "string", "rpc", "The status name, where the span counts as an error.")
SERVER_ADDRESS = _attribute("server.address", "string", "rpc", "Outbound: the upstream. Inbound: our listener.")
SERVER_PORT = _attribute("server.port", "int", "rpc", "Port that belongs to server.address.")
PEER_ADDRESS = _attribute("network.peer.address", "string", "rpc", "Inbound: the downstream's address or socket path.")
PEER_PORT = _attribute("network.peer.port", "int", "rpc", "Port that belongs to network.peer.address.")
OPERATION_NAME = _attribute("gen_ai.operation.name", "string", "gen_ai", "`invoke_agent`, on outbound calls that do.")
AGENT_NAME = _attribute("gen_ai.agent.name", "string", "gen_ai", "The agent that is invoked: our callee.")
CONVERSATION_ID = _attribute("gen_ai.conversation.id", "string", "gen_ai", "The contextId, once it is known.")
A2A_METHOD = _attribute("a2a.method.name", "string", "a2a", "The A2A operation, `SendMessage`.")
A2A_TASK_ID = _attribute("a2a.task.id", "string", "a2a", "The last taskId seen in either direction.")
A2A_TASK_STATE = _attribute("a2a.task.state", "string", "a2a", "The last state seen, `TASK_STATE_WORKING`.")
A2A_MESSAGE_ID = _attribute("a2a.message.id", "string", "a2a", "The last messageId seen in either direction.")
A2A_REFERENCES = _attribute("a2a.message.reference_task_ids", "string[]", "a2a", "Tasks that the message refers to.")
EXCHANGE = _attribute("sidecar.exchange", "string", "sidecar", "Id of the exchange; both sidecars it passes share it.")
CONVERSATION = _attribute("sidecar.conversation", "string", "sidecar", "Id of the conversation: all with one root.")
CALLER = _attribute("sidecar.caller", "string", "sidecar", "The calling agent, `_unknown` where nothing proves it.")
CALLEE = _attribute("sidecar.callee", "string", "sidecar", "The called agent.")
ROUTE = _attribute("sidecar.route", "string", "sidecar", "Name of the route in the configuration.")
SIDE = _attribute("sidecar.side", "string", "sidecar", "`inbound`: our agent is called. `outbound`: it calls.")
MODE = _attribute("sidecar.mode", "string", "sidecar", "`observe` or `enforce`, of the route.")
DECISION = _attribute("sidecar.decision", "string", "sidecar", "`forward`, `reject` or `replay`.")
REASON = _attribute("sidecar.reason", "string", "sidecar", "Why it was rejected (ErrorInfo.reason).")
ORIGIN = _attribute(
    "sidecar.origin", "string", "sidecar", "Who made the status: upstream, transport, sidecar or downstream."
)
SPEC = _attribute("sidecar.spec", "string", "sidecar", "The contract in force for this edge.")
LINEAGE_SOURCE = _attribute("sidecar.lineage.source", "string", "sidecar", "How the call was joined to its cause.")
HOPS = _attribute("sidecar.hops", "int", "sidecar", "Calls between the root and this one.")
PATH = _attribute("sidecar.path", "string[]", "sidecar", "Agents from the root to here (bounded).")
REQUEST_MESSAGES = _attribute("sidecar.request.messages", "int", "sidecar", "Messages that went upstream.")
REQUEST_BYTES = _attribute("sidecar.request.size_bytes", "int", "sidecar", "Their payload bytes.")
RESPONSE_MESSAGES = _attribute("sidecar.response.messages", "int", "sidecar", "Messages that came back.")
RESPONSE_BYTES = _attribute("sidecar.response.size_bytes", "int", "sidecar", "Their payload bytes.")
OVERHEAD = _attribute("sidecar.overhead_seconds", "double", "sidecar", "Time the engine held messages of this call.")
FINDING_CHECK = _attribute("sidecar.finding.check", "string", "sidecar", "The check that complains (event).")
FINDING_RULE = _attribute("sidecar.finding.rule", "string", "sidecar", "The rule that was broken (event).")
FINDING_SEVERITY = _attribute("sidecar.finding.severity", "string", "sidecar", "info, warning, error or internal.")
FINDING_POINTER = _attribute("sidecar.finding.pointer", "string", "sidecar", "JSON Pointer to the place (event).")
FINDING_MESSAGE = _attribute("sidecar.finding.message", "string", "sidecar", "A sentence to act on (event).")
SERVICE_NAME = _attribute("service.name", "string", "otel", "OTEL_SERVICE_NAME, else `sidecar-<agent>` (resource).")
SERVICE_VERSION = _attribute("service.version", "string", "otel", "Version of the sidecar (resource).")
SERVICE_INSTANCE = _attribute("service.instance.id", "string", "otel", "Random, unless given (resource).")
SIDECAR_AGENT = _attribute("sidecar.agent", "string", "sidecar", "The agent the sidecar stands beside (resource).")

# --- Labels ------------------------------------------------------------------------------------------------------

LABELS = {
    "caller": "the calling agent; `_unknown` where nothing proves it",
    "callee": "the called agent",
    "method": "`pkg.Service/Method` without a leading slash, as rpc.method; `_OTHER` for a method nobody knows",
    "code": "gRPC status name",
    "decision": "forward, reject or replay",
    "side": "inbound (our agent is called) or outbound; sum one side only, for a call may pass two sidecars",
    "direction": "request or response",
    "check": "the check that spoke",
    "rule": "the rule of that check",
    "severity": "info, warning, error or internal",
    "action": "observed, rejected or replayed",
    "reason": "a fixed word for why",
    "how": "propagated, ids, sole_inflight, ambiguous or root",
    "scope": "conversation, agent, edge or global: what has a purse of its own under that budget",
    "outcome": "what became of it, a fixed word",
    "version": "version of the sidecar",
    "python": "version of the interpreter",
    "verifier": "name of the verifier",
    "verdict": "pass, inconclusive or fail",
    "kind": "which sort, a fixed word",
    "agent": "the agent it is charged to",
    "model": "name of the model",
    "type": "input or output",
    "source": "reported, estimated or unknown",
    "budget": "name of the budget",
    "event": "a fixed word for what happened to a budget",
    "state": "state of a task",
    "from": "state before; `_none` where the task was not seen yet, `_other` for one that its machine does not know",
    "to": "state after; `_other` for one that its machine does not know",
    "legal": "true or false",
    "resource": "name of the resource in its specs, else the spec's own",
    "store": "kind of the shared store: redis",
    "operation": "verb of the store",
    "spec": "name of the spec",
    "target": "agent:NAME or verifier:NAME, what is left alone while it is open",
    "origin": "below (same key), above (new key, same arguments), grpc (a client that says so) or unknown",
    "near_deadline": "true or false",
    "what": "what changed: listen_tls, upstream_tls, verifier_tls, lineage_keys, metrics or admin",
    "sink": "where the journal's records go: sqlite, jsonl, otlp, redis; intake where none was offered it",
}

# --- Metrics -----------------------------------------------------------------------------------------------------

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""The conventions' RPC boundaries, thinned, and longer ones on top: agents think for minutes."""
OVERHEAD_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
MESSAGE_BYTES = tuple(float(4**power) for power in range(3, 14))
"""64 B to 64 MiB, the default message limit, in steps of four."""

EXCHANGES = _counter(
    "exchanges_total",
    "caller callee method code decision side",
    "Exchanges that ended, by gRPC status and by what the sidecar decided.",
    'sum by (callee) (rate(sidecar_exchanges_total{side="inbound",code!="OK"}[5m]))',
)
VIOLATIONS = _counter(
    "violations_total",
    "check caller callee side",
    "Exchanges in which a check found an error before they ended, refused for it or not; once for each check.",
    'sum by (check, callee) (rate(sidecar_violations_total{side="inbound"}[5m]))',
)
EXCHANGE_DURATION = _histogram(
    "exchange_duration_seconds",
    "caller callee method side",
    "Time from the headers of an exchange to its status.",
    'histogram_quantile(0.9, sum by (callee, le) (rate(sidecar_exchange_duration_seconds_bucket{side="inbound"}[5m])))',
    "seconds",
    CALL_SECONDS,
)
OVERHEAD_DURATION = _histogram(
    "overhead_seconds",
    "method",
    "Time that the engine held the messages of one exchange.",
    "histogram_quantile(0.99, sum by (le) (rate(sidecar_overhead_seconds_bucket[5m])))",
    "seconds",
    OVERHEAD_SECONDS,
)
WAITED = _counter(
    "waited_seconds_total",
    "method",
    "The part of the overhead that was meant: waiting for verifiers or another's answer, slowing a loop.",
    "sum by (method) (rate(sidecar_waited_seconds_total[5m]))",
    "seconds",
)
MESSAGES = _counter(
    "messages_total",
    "caller callee method direction side",
    "Messages that passed. The first call of a method not known before is counted under _OTHER until it succeeds.",
    'sum by (callee, direction) (rate(sidecar_messages_total{side="inbound"}[5m]))',
)
MESSAGE_SIZE = _histogram(
    "message_bytes",
    "direction side",
    "Payload size of messages.",
    "histogram_quantile(0.99, sum by (direction, le) (rate(sidecar_message_bytes_bucket[5m])))",
    "bytes",
    MESSAGE_BYTES,
)
INFLIGHT = _gauge(
    "inflight_exchanges",
    "callee",
    "Exchanges under way.",
    "max by (callee) (sidecar_inflight_exchanges)",
    "one a callee",
)
OLDEST_INFLIGHT = _gauge(
    "oldest_inflight_seconds",
    "callee",
    "Age of the oldest exchange under way, 0 where there is none.",
    "max by (callee) (sidecar_oldest_inflight_seconds) > 300",
    "one a callee",
    "seconds",
)
FINDINGS = _counter(
    "findings_total",
    "check rule severity caller callee action",
    "Findings of checks, and whether the call was rejected for them.",
    'sum by (check, rule) (increase(sidecar_findings_total{severity="error"}[1h]))',
)
FAIL_OPEN = _counter(
    "fail_open_total",
    "check reason",
    "What went on although a check could not judge it; store_away, crashed, or what the check says.",
    "sum by (check) (increase(sidecar_fail_open_total[1h])) > 0",
)
TRACE_JOINS = _counter(
    "trace_joins_total",
    "how side",
    "How each exchange, in both directions, was joined to its cause.",
    'sum by (how) (rate(sidecar_trace_joins_total{side="outbound"}[5m]))',
)
SPANS = _counter(
    "spans_total",
    "outcome",
    "Spans exported, dropped because the queue was full or the process ended, or failed at the receiver.",
    'rate(sidecar_spans_total{outcome!="exported"}[5m])',
)
LINEAGE_REJECTED = _counter(
    "lineage_rejected_total",
    "reason",
    "Lineage entries dropped: forged, expired, other_callee, malformed, unsigned or trace_mismatch.",
    "sum by (reason) (increase(sidecar_lineage_rejected_total[1h]))",
)
SPEC_RELOADS = _counter(
    "spec_reloads_total",
    "outcome",
    "Reloads of spec files: loaded, or refused and the last good ones kept.",
    'increase(sidecar_spec_reloads_total{outcome="refused"}[1h]) > 0',
)
SECRET_RELOADS = _counter(
    "secret_reloads_total",
    "what outcome",
    "Certificates, keys and tokens that changed while we ran: loaded, or refused and the last good ones kept.",
    'increase(sidecar_secret_reloads_total{outcome="refused"}[1h]) > 0',
)
SHED = _counter(
    "shed_total",
    "callee reason",
    "Calls turned away because too much was asked, by the rule that said so.",
    "sum by (callee) (rate(sidecar_shed_total[5m]))",
)
BUILD = _metric(
    Metric(
        "sidecar_build_info",
        "info",
        "Version of the sidecar and of its interpreter.",
        "",
        ("version", "python"),
        "count by (version) (sidecar_build_info)",
        bound="1",
    )
)
VERDICTS = _counter(
    "verdicts_total",
    "verifier verdict",
    "Verdicts given.",
    "sum by (verifier, verdict) (rate(sidecar_verdicts_total[5m]))",
)
VERIFIER_FAILURES = _counter(
    "verifier_failures_total",
    "verifier reason",
    "Verdicts that were inconclusive because the verifier gave no usable answer, and why.",
    "sum by (verifier, reason) (increase(sidecar_verifier_failures_total[1h]))",
)
VERIFIER_DURATION = _histogram(
    "verifier_duration_seconds",
    "verifier",
    "Time until a verifier answered or was given up.",
    "histogram_quantile(0.95, sum by (verifier, le) (rate(sidecar_verifier_duration_seconds_bucket[5m])))",
    "seconds",
    CALL_SECONDS,
)
VERIFIER_DISSENT = _counter(
    "verifier_dissent_total",
    "verifier",
    "Verdicts that differ from the panel's.",
    "sum by (verifier) (rate(sidecar_verifier_dissent_total[1h]))",
)
ENGINE_DISAGREEMENTS = _counter(
    "engine_disagreements_total",
    "spec",
    "Documents on which the sidecar's schema engine and a schema verifier came to different verdicts.",
    "increase(sidecar_engine_disagreements_total[1h]) > 0",
)
LOOPS = _counter(
    "loops_total",
    "kind caller callee action",
    "Requests past a loop limit.",
    "sum by (kind) (increase(sidecar_loops_total[1h]))",
)
TOKENS = _counter("tokens_total", "agent model type", "Tokens used.", "sum by (agent) (rate(sidecar_tokens_total[1h]))")
COST = _counter(
    "cost_usd_total",
    "agent model source",
    "Money spent.",
    "sum by (agent) (increase(sidecar_cost_usd_total[1d]))",
    "usd",
)
EDGE_COST = _counter(
    "edge_cost_usd_total",
    "caller callee",
    "Money spent on the answers of an edge, without what verifiers cost.",
    "topk(10, sum by (caller, callee) (increase(sidecar_edge_cost_usd_total[1d])))",
    "usd",
)
WASTED_COST = _counter(
    "wasted_cost_usd_total",
    "reason",
    "Money spent on calls that led nowhere: refused_answer, loop, duplicate, retry or failed.",
    "sum by (reason) (increase(sidecar_wasted_cost_usd_total[1d]))",
    "usd",
)
BUDGET_LIMIT = _gauge(
    "budget_limit_usd",
    "budget",
    "What a budget allows each of its purses.",
    "sidecar_budget_limit_usd",
    "one a budget",
    "usd",
)
BUDGET = _metric(
    Metric(
        "sidecar_budget_info",
        "info",
        "The budgets that are configured; `handed-down` is the rest of a conversation's that came with a call.",
        "",
        ("budget", "scope"),
        "sidecar_budget_used_ratio_max * on (job, instance, budget) group_left (scope) sidecar_budget_info",
        bound="one a budget, and 1",
    )
)
BUDGET_SPENT = _gauge(
    "budget_spent_usd",
    "budget",
    "What was spent of the fullest purse under a budget.",
    "sidecar_budget_spent_usd / sidecar_budget_limit_usd",
    "one a budget",
    "usd",
)
BUDGET_EVENTS = _counter(
    "budget_events_total",
    "budget event",
    "What happened to a budget: warned, refused, exceeded (in observe), sliced, overdrawn or merged.",
    "increase(sidecar_budget_events_total[1h])",
)
BUDGET_USED_MAX = _gauge(
    "budget_used_ratio_max",
    "budget",
    "Share used of the fullest purse under a budget.",
    "sidecar_budget_used_ratio_max > 0.8",
    "one a budget",
    "ratio",
)
UNPRICED_CALLS = _counter(
    "unpriced_calls_total",
    "agent model",
    "Calls to a model without a price.",
    "increase(sidecar_unpriced_calls_total[1d])",
)
PRICE_RELOADS = _counter(
    "price_reloads_total",
    "outcome",
    "Reloads of the price list: loaded, or refused and the last good one kept.",
    'increase(sidecar_price_reloads_total{outcome="refused"}[1h]) > 0',
)
DUPLICATES = _counter(
    "duplicates_total",
    "callee outcome",
    "Requests whose key was taken: replayed, waited, in_flight, conflict, unknown, not_kept or observed.",
    "sum by (outcome) (rate(sidecar_duplicates_total[5m]))",
)
RETRY_ORIGINS = _counter(
    "retry_origins_total",
    "callee origin near_deadline",
    "Calls sent again, by where that came from and whether the deadline of the call before had just passed.",
    "sum by (callee, origin) (increase(sidecar_retry_origins_total[1h]))",
)
TASKS = _gauge(
    "tasks",
    "callee state",
    "Tasks seen within a week, by the state they were last seen in.",
    "max by (callee, state) (sidecar_tasks)",
    "65 a callee",
)
STUCK_TASKS = _gauge(
    "stuck_tasks",
    "callee",
    "Open tasks without progress for longer than `tasks.stuck_after`.",
    "max by (callee) (sidecar_stuck_tasks) > 0",
    "one a callee",
)
TASK_TRANSITIONS = _counter(
    "task_transitions_total",
    "callee from to legal",
    "Tasks seen in another state than before; from `_none` where they are seen for the first time.",
    'sum by (callee) (rate(sidecar_task_transitions_total{legal="false"}[1h]))',
)
STALE_READS = _counter(
    "stale_reads_total",
    "resource",
    "Reads older than what their agent had seen or written.",
    "rate(sidecar_stale_reads_total[1h])",
)
LOST_UPDATES = _counter(
    "lost_updates_total",
    "resource",
    "Writes based on a version that had been overwritten.",
    "rate(sidecar_lost_updates_total[1h])",
)
RETRIES = _counter(
    "retries_total", "caller callee", "Calls sent again.", "sum by (caller, callee) (rate(sidecar_retries_total[5m]))"
)
JOURNAL_EVENTS = _counter(
    "journal_events_total",
    "sink outcome",
    "Journal records written, dropped because there was no room, or failed: given up by or for a sink.",
    'sum by (sink, outcome) (rate(sidecar_journal_events_total{outcome!="written"}[5m])) > 0',
)
STORE_ERRORS = _counter(
    "store_errors_total", "store operation", "Store verbs that failed.", "rate(sidecar_store_errors_total[5m])"
)
STORE_AWAY = _gauge(
    "store_away",
    "store",
    "1 while the shared store does not answer.",
    "max by (store) (sidecar_store_away) > 0",
    "1",
)
STORE_LOSSES = _counter(
    "store_losses_total",
    "store outcome",
    "Times that the store had lost what it once acknowledged: all of it, or the last of it.",
    "increase(sidecar_store_losses_total[1h]) > 0",
)
BREAKER_OPEN = _gauge(
    "breaker_open",
    "target",
    "1 while a circuit breaker is open.",
    "sidecar_breaker_open == 1",
    "one a verifier and callee",
)
QUARANTINED = _gauge(
    "quarantined",
    "kind",
    "What is held back: agents, edges, conversations and tasks.",
    "sum(sidecar_quarantined)",
    "4",
)
