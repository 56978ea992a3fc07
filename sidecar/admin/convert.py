"""From what the sidecar keeps to what the admin service says: translations, and nothing that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from sidecar.admin.ports import BudgetFacts, SpecDesk
from sidecar.engine.exchange import Exchange, Mode
from sidecar.engine.specs import Spec
from sidecar.engine.state.board import Reach, Standing
from sidecar.engine.state.controls import Control, Kind, Name, names_in
from sidecar.engine.state.ledger import Balance
from sidecar.engine.state.visits import Break
from sidecar.engine.verdict import Value
from sidecar.errors import Mistake
from sidecar.v1 import admin_pb2, common_pb2

if TYPE_CHECKING:
    from sidecar.admin.recent import AgentSeen, ConversationSeen, EdgeKey, EdgeSeen, Entry, FindingSeen, Traffic
    from sidecar.admin.scorecards import Scorecard

MODES: Final[Mapping[Mode | None, admin_pb2.Mode]] = {
    None: admin_pb2.MODE_UNSPECIFIED,
    Mode.OBSERVE: admin_pb2.MODE_OBSERVE,
    Mode.ENFORCE: admin_pb2.MODE_ENFORCE,
}

REACHES: Final[Mapping[Reach, admin_pb2.Reach]] = {
    "fleet": admin_pb2.REACH_FLEET,
    "machine": admin_pb2.REACH_MACHINE,
    "process": admin_pb2.REACH_PROCESS,
    "process until the store returns": admin_pb2.REACH_PROCESS_UNTIL_STORE_RETURNS,
}

Mask = Callable[[str], str]

SPEC_TEXT_CHARS: Final = 256 << 10
"""Longest text of a spec that is shown."""


def ms(unix_ns: int) -> int:
    return unix_ns // 1_000_000


def lineage_of(exchange: Exchange) -> common_pb2.Lineage:
    lineage = exchange.lineage
    return common_pb2.Lineage(
        conversation=lineage.conversation, trace_id=lineage.trace_id, hops=min(lineage.hops, 2**31 - 1)
    )


def edge_of(key: EdgeKey) -> common_pb2.Edge:
    return common_pb2.Edge(caller=key.caller, callee=key.callee, method=key.method)


def traffic_of(traffic: Traffic) -> admin_pb2.Traffic:
    return admin_pb2.Traffic(**{name: getattr(traffic, name) for name in traffic.__slots__})


def agent_of(agent: AgentSeen, *, is_quarantined: bool) -> admin_pb2.Agent:
    return admin_pb2.Agent(
        name=agent.name,
        as_caller=traffic_of(agent.as_caller),
        as_callee=traffic_of(agent.as_callee),
        last_seen_unix_ms=ms(agent.seen_unix_ns),
        is_quarantined=is_quarantined,
    )


def edge_summary(edge: EdgeSeen, now_ns: int, window_s: float, *, is_quarantined: bool) -> admin_pb2.EdgeSummary:
    lately = edge.recent(now_ns)
    return admin_pb2.EdgeSummary(
        edge=edge_of(edge.key),
        side=edge.key.side,
        total=traffic_of(edge.total),
        recent=admin_pb2.Recent(
            window_s=window_s,
            exchanges=lately.exchanges,
            errors=lately.errors,
            refused=lately.refused,
            rate_per_s=lately.exchanges / window_s,
            median_s=lately.quantile_s(0.5),
            p95_s=lately.quantile_s(0.95),
            cost_micro_usd=lately.cost_micro_usd,
        ),
        last_seen_unix_ms=ms(edge.seen_unix_ns),
        is_quarantined=is_quarantined,
        spec=edge.spec,
    )


def open_exchange(exchange: Exchange, now_ns: int, method_chars: int) -> admin_pb2.OpenExchange:
    return admin_pb2.OpenExchange(
        exchange_id=exchange.lineage.exchange_id,
        edge=common_pb2.Edge(caller=exchange.caller, callee=exchange.callee, method=exchange.method[:method_chars]),
        side=exchange.side.value,
        route=exchange.route.name,
        lineage=lineage_of(exchange),
        started_unix_ms=ms(exchange.started_unix_ns),
        age_s=(now_ns - exchange.started_ns) / 1e9,
        requests=exchange.requests.messages,
        responses=exchange.responses.messages,
        is_dispatched=exchange.was_dispatched,
        size_bytes=exchange.requests.size_bytes + exchange.responses.size_bytes,
    )


def conversation_summary(seen: ConversationSeen, *, is_quarantined: bool) -> admin_pb2.ConversationSummary:
    return admin_pb2.ConversationSummary(
        conversation=seen.conversation,
        first_seen_unix_ms=ms(seen.first_unix_ns),
        last_seen_unix_ms=ms(seen.seen_unix_ns),
        total=traffic_of(seen.total),
        agents=list(seen.agents),
        is_quarantined=is_quarantined,
        began_with=seen.began_with,
    )


def entry_of(entry: Entry, mask: Mask) -> admin_pb2.TimelineEntry:
    return admin_pb2.TimelineEntry(
        exchange_id=entry.exchange_id,
        edge=edge_of(entry.edge),
        side=entry.edge.side,
        trace_id=entry.trace_id,
        span_id=entry.span_id,
        parent_span_id=entry.parent_span_id,
        cause_exchange_id=entry.cause,
        joined_by=entry.joined_by,
        hops=min(entry.hops, 2**31 - 1),
        started_unix_ms=ms(entry.started_unix_ns),
        duration_s=entry.duration_s,
        is_open=not entry.code,
        code=entry.code,
        decision=entry.decision,
        reason=entry.reason,
        requests=entry.requests,
        responses=entry.responses,
        cost_micro_usd=entry.cost_micro_usd,
        findings=[finding_of(each, mask) for each in entry.findings],
        findings_missing=entry.findings_missing,
        spec=entry.spec,
    )


def finding_of(seen: FindingSeen, mask: Mask) -> admin_pb2.CheckFinding:
    finding = seen.finding
    return admin_pb2.CheckFinding(
        check=finding.check,
        rule=finding.rule,
        severity=finding.severity.value,
        message=mask(finding.message),
        action=seen.action.value,
        spec=finding.spec,
        pointer=finding.pointer,
        at_unix_ms=ms(seen.unix_ns),
    )


def author_of(control: Control) -> admin_pb2.Author:
    return admin_pb2.Author(who=control.who, at_unix_ms=control.at_ms, because=control.because)


def target_of(name: Name) -> admin_pb2.Target:
    if name.kind is Kind.AGENT:
        return admin_pb2.Target(agent=name.key)
    if name.kind is Kind.CONVERSATION:
        return admin_pb2.Target(conversation=name.key)
    if name.kind is Kind.EDGE:
        caller, callee, method = names_in(name.key)
        return admin_pb2.Target(edge=common_pb2.Edge(caller=caller, callee=callee, method=method))
    callee, task = names_in(name.key)
    return admin_pb2.Target(task=admin_pb2.TaskTarget(callee=callee, task=task))


def quarantined_of(standing: Standing, now_ns: int, now_unix_ns: int) -> admin_pb2.Quarantined:
    ends_ns = standing.ends_ns
    return admin_pb2.Quarantined(
        target=target_of(standing.control.name),
        author=author_of(standing.control),
        until_unix_ms=0 if ends_ns is None else ms(now_unix_ns + ends_ns - now_ns),
        spares_open=standing.control.spares_open,
        is_local=standing.is_local,
    )


def spec_of(spec: Spec, desk: SpecDesk, put: Control | None, *, is_whole: bool = False) -> admin_pb2.Spec:
    return admin_pb2.Spec(
        name=spec.name,
        caller=spec.match.caller or "",
        callee=spec.match.callee or "",
        method=spec.match.method or "",
        mode=spec.mode.value if spec.mode else "",
        promises=desk.promises(spec),
        source="put" if put else spec.source,
        text=((put.value if put else desk.text(spec))[:SPEC_TEXT_CHARS]) if is_whole else "",
        put=author_of(put) if put else None,
        replaces_file=put is not None and any(each.name == spec.name for each in desk.from_files),
    )


def mistake_of(mistake: Mistake) -> admin_pb2.Mistake:
    return admin_pb2.Mistake(where=mistake.where, found=mistake.found, allowed=mistake.allowed)


def account_of(balance: Balance) -> admin_pb2.Account:
    return admin_pb2.Account(
        budget=balance.purse.budget,
        account=balance.purse.account,
        spent_micro_usd=balance.spent_micro_usd,
        held_micro_usd=balance.held_micro_usd,
        limit_micro_usd=balance.limit_micro_usd,
    )


def budget_of(budget: BudgetFacts, limit_micro_usd: int, fullest: list[Balance]) -> admin_pb2.Budget:
    return admin_pb2.Budget(
        name=budget.name,
        scope=budget.scope,
        window=budget.window,
        configured_limit_micro_usd=budget.limit_micro_usd,
        limit_micro_usd=limit_micro_usd,
        is_changed=limit_micro_usd != budget.limit_micro_usd,
        warn_at=budget.warn_at,
        mode=budget.mode.value if budget.mode else "",
        accounts=map(account_of, fullest),
    )


def loop_of(broken: Break, loop_id: str) -> admin_pb2.Loop:
    return admin_pb2.Loop(
        id=loop_id,
        conversation=broken.conversation,
        edge=common_pb2.Edge(caller=broken.edge.caller, callee=broken.edge.callee, method=broken.edge.method),
        kind=broken.kind,
        until_unix_ms=broken.until_ms,
    )


def scorecard_of(card: Scorecard) -> admin_pb2.Scorecard:
    return admin_pb2.Scorecard(
        asked=card.asked,
        passed=card.verdicts[Value.PASS],
        failed=card.verdicts[Value.FAIL],
        inconclusive=card.verdicts[Value.INCONCLUSIVE],
        failures=card.failures,
        dissents=card.dissents,
        mean_s=card.mean_s,
        slowest_s=card.slowest_s,
        last_asked_unix_ms=ms(card.last_unix_ns),
        version=card.version,
    )
