"""Looking: the methods that change nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

from sidecar.admin import convert
from sidecar.admin.feed import SEVERITIES, UNASKED, Feed, Wish
from sidecar.admin.gate import Asked
from sidecar.admin.levels import level_of, levels
from sidecar.admin.paging import page
from sidecar.admin.ports import BudgetFacts, World
from sidecar.admin.problem import invalid, not_allowed, not_found
from sidecar.admin.recent import METHOD_CHARS, SLOT_S, SLOTS, ConversationSeen, EdgeKey, Recent, walked
from sidecar.admin.scorecards import Scorecards
from sidecar.admin.targets import edge_in, loop_id, said
from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Severity
from sidecar.engine.state.board import Standing
from sidecar.engine.state.controls import QUARANTINES, Kind, Name, pair
from sidecar.engine.state.tasks import SeenTask
from sidecar.engine.state.visits import BREAKS_LISTED_MAX, Break
from sidecar.errors import StoreUnavailable
from sidecar.v1 import admin_pb2

ACCOUNTS: Final = 10
ACCOUNTS_MAX: Final = 100
TASKS_MAX: Final = 1_000
"""Tasks of one callee that can be listed: the latest."""
LOOPS_OF_ONE_MAX: Final = 16
TAIL_ROOM: Final = 1_000
TAIL_ROOM_MAX: Final = 10_000
ALIVE_S: Final = 10.0
WINDOW_S: Final = SLOT_S * SLOTS


class Looking:
    """One method of the service each, by its name."""

    def __init__(self, world: World, recent: Recent, scorecards: Scorecards, feed: Feed) -> None:
        self._world = world
        self._recent = recent
        self._scorecards = scorecards
        self._feed = feed

    # Status and configuration.

    async def GetStatus(self, asked: Asked) -> admin_pb2.Status:  # noqa: N802 - named as the service names it
        world, clock = self._world, self._world.clock
        open_exchanges = self._recent.open_exchanges()
        now_ns = clock.monotonic_ns()
        oldest_ns = min((each.started_ns for each in open_exchanges), default=now_ns)
        return admin_pb2.Status(
            version=world.version,
            agent=world.agent,
            mode=world.modes.root.value,
            started_unix_ms=convert.ms(world.started_unix_ns),
            uptime_s=(clock.unix_ns() - world.started_unix_ns) / 1e9,
            is_ready=world.is_ready(),
            routes=[
                admin_pb2.RouteStatus(
                    name=route.name,
                    listen=route.listen,
                    upstream=route.upstream,
                    caller=route.caller,
                    callee=route.callee,
                    side=route.side,
                    mode=world.modes.of_route(route.name).value,
                )
                for route in world.routes()
            ],
            store=admin_pb2.StoreStatus(
                kind=world.store.kind,
                is_away=world.board.is_away,
                revision=max(world.board.revision, 0),
                untold=world.board.untold,
            ),
            open_exchanges=len(open_exchanges),
            oldest_exchange_s=(now_ns - oldest_ns) / 1e9,
            changed_modes=[level_of(each) for each in levels(world) if each.changed],
            put_specs=[each.control.name.key for each in world.board.of(Kind.SPEC)],
            changed_budgets=await self._changed_budgets(),
            quarantined=world.board.quarantined(),
            problems=self._problems(),
            you=asked.caller.who,
            role=admin_pb2.Role.Name(int(asked.caller.role)),
            bounds=[
                admin_pb2.Bound(what=what, kept=kept, at_most=most, forgotten=forgotten)
                for what, kept, most, forgotten in self._recent.bounds
            ],
        )

    async def GetConfig(self, asked: Asked) -> admin_pb2.EffectiveConfig:  # noqa: ARG002, N802
        return admin_pb2.EffectiveConfig(json=json.dumps(self._world.config(), indent=2, ensure_ascii=False).encode())

    # What was seen.

    async def ListAgents(self, asked: Asked) -> admin_pb2.ListAgentsResponse:  # noqa: N802
        agents, token = page(self._recent.agents(), lambda each: (-each.seen_unix_ns, each.name), asked.request)
        held = self._held(Kind.AGENT)
        shown = [convert.agent_of(agent, is_quarantined=agent.name in held) for agent in agents]
        return admin_pb2.ListAgentsResponse(agents=shown, next_page_token=token)

    async def ListEdges(self, asked: Asked) -> admin_pb2.ListEdgesResponse:  # noqa: N802
        found = self._recent.edges(asked.request.agent)
        edges, token = page(found, lambda each: (-each.seen_unix_ns, *each.key), asked.request)
        held, now_ns = self._held(Kind.EDGE), self._world.clock.monotonic_ns()
        shown = [
            convert.edge_summary(edge, now_ns, WINDOW_S, is_quarantined=edge_key(edge.key) in held) for edge in edges
        ]
        return admin_pb2.ListEdgesResponse(edges=shown, next_page_token=token)

    async def ListExchanges(self, asked: Asked) -> admin_pb2.ListExchangesResponse:  # noqa: N802
        request, now_ns = asked.request, self._world.clock.monotonic_ns()
        if not request.min_age_s >= 0:
            raise invalid("min_age_s", "seconds, 0 or more")
        found = [each for each in self._recent.open_exchanges() if is_shown(each, request, now_ns)]
        shown, token = page(found, lambda each: (each.started_ns, each.lineage.span_id), request)
        exchanges = [convert.open_exchange(each, now_ns, METHOD_CHARS) for each in shown]
        return admin_pb2.ListExchangesResponse(exchanges=exchanges, next_page_token=token)

    async def ListConversations(self, asked: Asked) -> admin_pb2.ListConversationsResponse:  # noqa: N802
        request = asked.request
        found = [
            each
            for each in self._recent.conversations()
            if (not request.agent or request.agent in each.agents)
            and (not request.with_findings or each.total.findings)
        ]
        shown, token = page(found, lambda each: (-each.seen_unix_ns, each.conversation), request)
        held = self._held(Kind.CONVERSATION)
        summaries = [convert.conversation_summary(each, is_quarantined=each.conversation in held) for each in shown]
        return admin_pb2.ListConversationsResponse(conversations=summaries, next_page_token=token)

    async def GetConversation(self, asked: Asked) -> admin_pb2.Conversation:  # noqa: N802
        name = said(asked.request.conversation, "conversation")
        seen = self._recent.conversation(name)
        if seen is None:
            raise not_found("conversation", f"{name} was not seen lately by this sidecar")
        loops = [each for each in await self._breaks() if each.conversation == name][:LOOPS_OF_ONE_MAX]
        graph = [
            admin_pb2.ConversationEdge(edge=convert.edge_of(key), side=key.side, total=convert.traffic_of(tally))
            for key, tally in seen.edges.items()
        ]
        return admin_pb2.Conversation(
            summary=convert.conversation_summary(seen, is_quarantined=name in self._held(Kind.CONVERSATION)),
            graph=graph,
            budgets=await self._budgets_of(seen),
            loops=[convert.loop_of(each, loop_id(each)) for each in loops],
            timeline=[convert.entry_of(entry, self._world.mask) for entry in walked(seen.entries.values())],
            missing=seen.missing,
        )

    async def ListTasks(self, asked: Asked) -> admin_pb2.ListTasksResponse:  # noqa: N802
        request, tasks = asked.request, self._world.store.tasks
        callees = [request.callee] if request.callee else sorted({route.callee for route in self._world.routes()})
        found: list[tuple[str, SeenTask]] = []
        census = []
        for callee in callees:
            found += [(callee, task) for task in await tasks.latest(callee, limit=TASKS_MAX)]
            counted = await tasks.census(callee, self._world.stuck_after_s)
            census.append(admin_pb2.TaskCensus(callee=callee, states=counted.states, stuck=counted.stuck))
        if request.stuck_only:
            found = [each for each in found if self._is_stuck(each[1])]
        # Idle times grow while pages are read, so the order is that of names, which stay.
        shown, token = page(found, lambda each: (each[0], each[1].task), request)
        held = self._held(Kind.TASK)
        listed = [self._task(callee, task, held) for callee, task in shown]
        return admin_pb2.ListTasksResponse(tasks=listed, next_page_token=token, census=census)

    # Specs.

    async def ListSpecs(self, asked: Asked) -> admin_pb2.ListSpecsResponse:  # noqa: N802
        specs = self._world.specs
        shown, token = page(specs.specs, lambda each: (each.name,), asked.request)
        listed = [convert.spec_of(each, specs, self._put(each.name)) for each in shown]
        problems = [convert.mistake_of(each) for each in specs.problems]
        return admin_pb2.ListSpecsResponse(specs=listed, next_page_token=token, problems=problems)

    async def GetSpec(self, asked: Asked) -> admin_pb2.Spec:  # noqa: N802
        name = said(asked.request.name, "name")
        for spec in self._world.specs.specs:
            if spec.name == name:
                return convert.spec_of(spec, self._world.specs, self._put(name), is_whole=True)
        raise not_found("name", f"no spec {name} is in force")

    async def MatchSpec(self, asked: Asked) -> admin_pb2.MatchSpecResponse:  # noqa: N802
        specs = self._world.specs
        found = specs.match(*edge_in(asked.request.edge, "edge"))
        shown = convert.spec_of(found, specs, self._put(found.name)) if found else None
        return admin_pb2.MatchSpecResponse(spec=shown)

    # Verifiers, budgets, loops.

    async def ListVerifiers(self, asked: Asked) -> admin_pb2.ListVerifiersResponse:  # noqa: N802
        shown, token = page(self._world.verifiers, lambda each: (each.name,), asked.request)
        effective = {
            each.name: each.effective for each in levels(self._world) if each.level == admin_pb2.LEVEL_VERIFIER
        }
        listed = [
            admin_pb2.VerifierStatus(
                name=each.name,
                address=each.address,
                mode=mode.value if (mode := effective[each.name]) else "",
                fail=each.fail,
                is_skipped=self._world.is_skipped(each.name),
                scorecard=convert.scorecard_of(self._scorecards.of(each.name)),
            )
            for each in shown
        ]
        return admin_pb2.ListVerifiersResponse(verifiers=listed, next_page_token=token)

    async def ListBudgets(self, asked: Asked) -> admin_pb2.ListBudgetsResponse:  # noqa: N802
        accounts = asked.request.accounts
        if not 0 <= accounts <= ACCOUNTS_MAX:
            raise invalid("accounts", f"1 to {ACCOUNTS_MAX}, or 0 for {ACCOUNTS}; found {accounts}")
        shown, token = page(self._world.budgets, lambda each: (each.name,), asked.request)
        listed = [await self.budget(each, accounts or ACCOUNTS) for each in shown]
        return admin_pb2.ListBudgetsResponse(budgets=listed, next_page_token=token)

    async def budget(self, budget: BudgetFacts, accounts: int = ACCOUNTS) -> admin_pb2.Budget:
        """How one stands."""
        ledger = self._world.store.ledger
        [empty] = await ledger.balances([budget.hold_of("")])
        fullest = await ledger.fullest(budget.name, budget.limit_micro_usd, accounts)
        return convert.budget_of(budget, empty.limit_micro_usd, fullest)

    async def ListLoops(self, asked: Asked) -> admin_pb2.ListLoopsResponse:  # noqa: N802
        wanted = asked.request.conversation
        found = [each for each in await self._breaks() if not wanted or each.conversation == wanted]
        shown, token = page(found, lambda each: (-each.until_ms, loop_id(each)), asked.request)
        loops = [convert.loop_of(each, loop_id(each)) for each in shown]
        return admin_pb2.ListLoopsResponse(loops=loops, next_page_token=token)

    # Quarantines and modes.

    async def ListQuarantines(self, asked: Asked) -> admin_pb2.ListQuarantinesResponse:  # noqa: N802
        kind = asked.request.kind
        if kind and kind not in {each.value for each in QUARANTINES}:
            raise invalid("kind", "agent, edge, conversation or task; empty for all")
        kinds = [each for each in QUARANTINES if not kind or each.value == kind]
        found = [each for wanted in kinds for each in self._world.board.of(wanted)]
        shown, token = page(found, mark_of_standing, asked.request)
        return admin_pb2.ListQuarantinesResponse(
            quarantines=[self.quarantined(each) for each in shown], next_page_token=token
        )

    def quarantined(self, standing: Standing) -> admin_pb2.Quarantined:
        clock = self._world.clock
        return convert.quarantined_of(standing, clock.monotonic_ns(), clock.unix_ns())

    async def ListModes(self, asked: Asked) -> admin_pb2.ListModesResponse:  # noqa: N802
        shown, token = page(list(levels(self._world)), lambda each: (each.level, each.name), asked.request)
        return admin_pb2.ListModesResponse(modes=map(level_of, shown), next_page_token=token)

    # Streams.

    async def Tail(self, asked: Asked) -> AsyncIterator[admin_pb2.TailEvent]:  # noqa: N802
        wish, room = wish_in(asked.request), room_in(asked.request)
        reader = self._feed.join(wish, room)
        try:
            yield admin_pb2.TailEvent(at_unix_ms=self._now_ms(), alive=admin_pb2.Alive())
            while True:
                event = await reader.next(ALIVE_S)
                event.at_unix_ms = event.at_unix_ms or self._now_ms()
                yield event
        finally:
            self._feed.leave(reader)

    async def Replay(self, asked: Asked) -> AsyncIterator[admin_pb2.ReplayResult]:  # noqa: N802
        if self._world.replays is None:
            raise not_allowed("journal", "nothing can be replayed: no journal is kept that can be read back")
        async with aclosing(self._world.replays.replay(asked.request)) as results:
            async for result in results:
                yield result

    # Inside.

    def _now_ms(self) -> int:
        return self._world.clock.unix_ns() // 1_000_000

    def _held(self, kind: Kind) -> set[str]:
        return {each.control.name.key for each in self._world.board.of(kind)}

    def _put(self, spec: str) -> Any:
        standing = self._world.board.at(Name(Kind.SPEC, spec))
        return standing.control if standing else None

    async def _breaks(self) -> Sequence[Break]:
        return await self._world.store.visits.breaks(BREAKS_LISTED_MAX)

    async def _budgets_of(self, seen: ConversationSeen) -> list[admin_pb2.Account]:
        holds = [each.hold_of(seen.conversation) for each in self._world.budgets if each.scope == "conversation"]
        return [convert.account_of(each) for each in await self._world.store.ledger.balances(holds)] if holds else []

    async def _changed_budgets(self) -> list[str]:
        """Those with another limit than configured; none while the store is away, which the status says as well."""
        budgets = self._world.budgets
        if not budgets:
            return []
        try:
            balances = await self._world.store.ledger.balances([budget.hold_of("") for budget in budgets])
        except StoreUnavailable:
            return []
        both = zip(budgets, balances, strict=True)
        return [budget.name for budget, balance in both if balance.limit_micro_usd != budget.limit_micro_usd]

    def _problems(self) -> list[str]:
        board = self._world.board
        found = [str(mistake) for mistake in self._world.specs.problems]
        if board.is_away:
            found.append("the shared store does not answer: what it said last holds")
        if board.untold:
            found.append(f"{board.untold} changes are in force here alone until the store can be told")
        return found

    def _is_stuck(self, task: SeenTask) -> bool:
        return not task.is_terminal and not task.is_waiting and task.idle_s > self._world.stuck_after_s

    def _task(self, callee: str, task: SeenTask, held: set[str]) -> admin_pb2.Task:
        cause = task.cause
        return admin_pb2.Task(
            callee=callee,
            task=task.task,
            state=task.state,
            is_terminal=task.is_terminal,
            for_s=task.for_s,
            idle_s=task.idle_s,
            is_stuck=self._is_stuck(task),
            caller=cause.caller,
            method=cause.method[:METHOD_CHARS],
            exchange_id=cause.exchange,
            conversation=cause.conversation,
            is_quarantined=pair(callee, bounded(task.task)) in held,
        )


def mark_of_standing(standing: Standing) -> tuple[int, str, str]:
    """The latest first."""
    control = standing.control
    return -control.at_ms, control.name.kind.value, control.name.key


def edge_key(key: EdgeKey) -> str:
    return pair(key.caller, key.callee, key.method)


def is_shown(exchange: Exchange, request: Any, now_ns: int) -> bool:
    is_theirs = not request.agent or request.agent in (exchange.caller, exchange.callee)
    return is_theirs and now_ns - exchange.started_ns >= request.min_age_s * 1e9


def wish_in(request: Any) -> Wish:
    known = set(admin_pb2.EventKind.values()) - {admin_pb2.EVENT_KIND_UNSPECIFIED}
    for index, kind in enumerate(request.kinds):
        if kind not in known:
            names = ", ".join(admin_pb2.EventKind.Name(each) for each in sorted(known))
            raise invalid(f"kinds[{index}]", f"one of {names}; found {kind}")
    return Wish(
        kinds=frozenset(request.kinds) or UNASKED,
        agent=request.agent,
        conversation=request.conversation,
        method=request.method,
        severity=severity_in(request.min_severity),
    )


def severity_in(word: str) -> int:
    if not word:
        return 0
    words = [each.value for each in SEVERITIES]
    if word not in words:
        raise invalid("min_severity", f"{', '.join(words)}, or empty for all; found {word[:50]}")
    return SEVERITIES.index(Severity(word))


def room_in(request: Any) -> int:
    room: int = request.buffer
    if not 0 <= room <= TAIL_ROOM_MAX:
        raise invalid("buffer", f"1 to {TAIL_ROOM_MAX}, or 0 for {TAIL_ROOM}; found {room}")
    return room or TAIL_ROOM
