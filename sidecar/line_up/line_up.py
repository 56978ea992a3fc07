"""The order in which checks are asked, and what each is built from.

To add a check: one builder, and its place in `LineUp._in_order` with the reason beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sidecar.checks.budget import BudgetCheck
from sidecar.checks.consistency import ConsistencyCheck
from sidecar.checks.idempotency import IdempotencyCheck
from sidecar.checks.identity import IdentityCheck
from sidecar.checks.loop import LoopCheck
from sidecar.checks.pressure import PressureCheck
from sidecar.checks.quarantine import QuarantineCheck
from sidecar.checks.spec import SpecCheck
from sidecar.checks.stream import StreamCheck
from sidecar.checks.task import TaskCheck, TaskSweep
from sidecar.checks.verification import VerificationCheck
from sidecar.config import Config
from sidecar.engine.descriptors import Descriptors
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Finding
from sidecar.engine.guarding import Guards
from sidecar.engine.ports import Check, Clock, PanelReporter, PanelReporters, Witness
from sidecar.engine.redaction import Redactor
from sidecar.engine.specs import Spec
from sidecar.engine.state import Board, Reach, Store
from sidecar.line_up.money import Money, read_prices
from sidecar.panel import VerifierPanel
from sidecar.stores.memory import open_memory
from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.duplicate_metrics import DuplicateMetrics
from sidecar.telemetry.loop_metrics import LoopMetrics
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.money_metrics import MoneyMetrics
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.telemetry.pressure_metrics import PressureMetrics
from sidecar.telemetry.store_metrics import StoreMetrics
from sidecar.telemetry.task_metrics import TaskMetrics
from sidecar.telemetry.version_metrics import VersionMetrics
from sidecar.tls import ClientTls
from sidecar.wiring import (
    idempotency_settings,
    loop_ladder,
    open_store,
    pressure_settings,
    reach_of,
    series_limit,
    shared_stores,
    verifier_settings,
)

Domain = TypeVar("Domain")


class LineUp:
    """The checks of one process, the store that they share, and what goes on beside the calls for them."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        descriptors: Mapping[str, Descriptors],
        guards: Guards,
        metrics: MetricsReporter,
        tell_late: Callable[[Exchange, Finding], None],
        witness: Witness | None = None,
        redactor: Redactor | None = None,
        panel_reporters: Sequence[PanelReporter] = (),
    ) -> None:
        """`descriptors` by route. `tell_late` hears of what is found when no message is there to be decided on.

        `witness` hears of verdicts and charges, `panel_reporters` of each verifier beside our own; `redactor` masks
        what verifiers are shown where a spec asks for it.

        Raises ConfigError for prices, a store or a spool that cannot be used.
        """
        self._config = config
        self._clock = clock
        self._descriptors = descriptors
        self._guards = guards
        self._metrics = metrics
        self._tell_late = tell_late
        self._witness = witness
        self._redactor = redactor
        self._registry, self._series_limit = metrics.registry, series_limit(config)
        self._breakers = BreakerGauge(self._registry)
        budgets = {budget.name: budget.scope for budget in config.budgets}
        money_metrics = MoneyMetrics(self._registry, budgets, self._series_limit)
        self._panel_metrics = PanelMetrics(
            self._registry,
            [verifier.name for verifier in config.verifiers],
            self._series_limit,
            self._breakers,
            spent=money_metrics.cost_settled,
        )
        reporter = PanelReporters(self._panel_metrics, *panel_reporters)
        self.panel = VerifierPanel(verifier_settings(config), clock=clock, reporter=reporter)
        prices = read_prices(config, money_metrics)  # before anything is opened: a mistake in it leaves nothing open
        store_metrics = StoreMetrics(self._registry, self._series_limit, shared_stores(config))
        self.store = open_store(config, clock, store_metrics)
        self.board = Board(self.store.controls, clock, self.store.kind)
        self.quarantine = QuarantineCheck(
            self.board, clock, cooldown_s=config.quarantine.cooldown_s, fail_open=metrics.fail_open
        )
        metrics.watch_quarantine(self.board.quarantined)
        store_away = self._store_away(BudgetCheck.name)
        self.money = Money(config, clock, self.store, prices, money_metrics, store_away=store_away, witness=witness)
        self._task_metrics = TaskMetrics(self._registry, self._series_limit)
        self.checks = self._in_order()

    def _in_order(self) -> list[Check]:
        """The first enforced finding decides what a caller is told, and the checks below it are not asked."""
        return [
            IdentityCheck(),  # only looks at who calls, which no other check waits for
            self.quarantine,  # what is held back needs no other check to say so
            SpecCheck(),  # what breaks the contract is malformed: no check below should judge, claim or charge for it
            StreamCheck(answers_once=self._answers_once),  # the order of messages is part of the contract
            self._idempotency(),  # what is answered from the record must not be counted, charged or judged again
            self.money.meetings(),  # what was spent before this call, and the call is one that is made
            *self._loop(),  # what is malformed or a duplicate is no visit; a loop should not reserve or charge
            self._task(),  # what a task does is kept of answers that keep their contract
            self._consistency(),  # and so is what version of a resource an answer tells
            self._pressure(),  # it is known that the call has to be made, and nothing was paid for it yet
            self.money.check(),  # money is held for what nothing cheaper has refused
            self._verification(),  # asking verifiers costs the most
        ]

    async def start(self, specs: Iterable[Spec]) -> None:
        """Before the first call. `specs` are those in force by then. Never fails for a store that is away."""
        await self.store.start()
        await self.board.start()
        await self.money.start(specs)

    def watch(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the calls, until `stop` is set or it is cancelled."""
        return [self._task_sweep().run(), self.board.watch(), *self.money.watch(stop)]

    def renew_verifier(self, name: str, tls: ClientTls) -> None:
        """Certificates that have changed, for the connection to one verifier."""
        self.panel.renew(name, tls)

    async def drain(self, limit_s: float) -> None:
        """Let verifiers that are asked beside the calls finish."""
        await self.panel.drain(limit_s)

    async def close(self) -> None:
        """After the last call. The spool's file goes last: what the store no longer charges is kept there."""
        await self.board.flush()
        await self.money.spool.close()
        await self.store.close()
        await self.money.close()

    # What each is built from.

    def _idempotency(self) -> Check:
        check = IdempotencyCheck(
            self._reach(IdempotencyCheck.name, lambda store: store.claims),
            clock=self._clock,
            answers_once=self._answers_once,
            reporter=DuplicateMetrics(self._registry, self._series_limit),
            settings=idempotency_settings(self._config),
        )
        self.store.on_return(check.store_returned)
        return check

    def _loop(self) -> list[Check]:
        """None where the configuration does not look for loops."""
        ladder = loop_ladder(self._config)
        if ladder is None:
            return []
        visits = self._reach(LoopCheck.name, lambda store: store.visits)
        reporter = LoopMetrics(self._registry, self._series_limit)
        return [LoopCheck(visits, ladder=ladder, clock=self._clock, reporter=reporter)]

    def _task(self) -> Check:
        tasks = self._reach(TaskCheck.name, lambda store: store.tasks)
        return TaskCheck(tasks, clock=self._clock, reporter=self._task_metrics)

    def _task_sweep(self) -> TaskSweep:
        routes = [self._config.engine_route(route) for route in self._config.routes]
        return TaskSweep(
            self.store.tasks,
            clock=self._clock,
            reporter=self._task_metrics,
            stuck_after_s=self._config.tasks.stuck_after_s,
            routes=lambda: filter(self._guards.are_here, routes),
            tell=self._tell_late,
        )

    def _consistency(self) -> Check:
        versions = self._reach(ConsistencyCheck.name, lambda store: store.versions)
        reporter = VersionMetrics(self._registry, self._series_limit)
        return ConsistencyCheck(versions, clock=self._clock, reporter=reporter)

    def _pressure(self) -> Check:
        """What stands in for the fleet's counts is where this process counts for itself: it is given back there."""
        settings = pressure_settings(self._config)
        shared = self._reach(PressureCheck.name, lambda store: store.pressure)
        local = open_memory(self._clock).pressure if shared.local is None else shared.local
        callees = {route.callee for route in self._config.routes} if settings.breaker else set[str]()
        reporter = PressureMetrics(self._breakers, callees)
        return PressureCheck(settings, clock=self._clock, shared=shared, local=local, reporter=reporter)

    def _verification(self) -> Check:
        return VerificationCheck(
            self.panel,
            answers_once=self._answers_once,
            tell=self._tell_late,
            fail_open=self._metrics.fail_open,
            engines_compared=self._panel_metrics.engines_compared,
            quarantine=self.quarantine,
            witness=self._witness,
            redactor=self._redactor,
        )

    def _reach(self, check: str, pick: Callable[[Store], Domain]) -> Reach[Domain]:
        """The check's domain of the store, with what stands in for it counted as that check's."""
        return reach_of(self.store, self._clock, pick, self._store_away(check))

    def _store_away(self, check: str) -> Callable[[], None]:
        return partial(self._metrics.fail_open, check, "store_away")

    def _answers_once(self, exchange: Exchange) -> bool:
        method = self._descriptors[exchange.route.name].method(exchange.method)
        return method is not None and not method.server_streaming
