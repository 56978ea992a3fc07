"""The check: what messages say of tasks, held to the machine of their spec, or to A2A's where there is none.

Without a `task` block only A2A's own shapes are looked at, and nothing is ever refused.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Literal

from sidecar.checks.task import findings
from sidecar.checks.task.report import A2A_SERVICES, Report, machine_of, report_of
from sidecar.checks.task.work import work_of
from sidecar.engine.ahead import Key
from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.finding import Finding
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import names_of
from sidecar.engine.ports import Clock
from sidecar.engine.specs import A2A, Machine, Spec, TaskTerms
from sidecar.engine.state.reach import Reach
from sidecar.engine.state.tasks import Cause, Known, Observed, Sighting, Step, TaskReporter, Tasks

METHOD_CHARS_MAX: Final = 256
"""Of a method's name this much is kept with a task."""

OTHER: Final = "_other"
NONE: Final = "_none"

CANCELED: Final = "TASK_STATE_CANCELED"


class TaskCheck:
    """Follows tasks from state to state."""

    name = findings.CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(self, tasks: Reach[Tasks], *, clock: Clock, reporter: TaskReporter) -> None:
        self._tasks = tasks
        self._clock = clock
        self._reporter = reporter

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """What is known of the task that a request names. What an answer says of one cannot be taken back."""
        if message is None or not exchange.is_guarded_here:
            return True
        spec = exchange.spec if exchange.spec is not None and exchange.spec.task is not None else None
        terms = spec.task if spec is not None else None
        if message.direction is Direction.RESPONSE:
            return spec is None or weakest(exchange.mode_for(self.name), spec.mode) is not Mode.ENFORCE
        if message.is_readable and (task := asked_about(exchange, terms, message)):
            self._tasks.ahead(exchange, *knowing(exchange.callee, bounded(task)))
        return True

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        if not exchange.is_guarded_here or not message.is_readable:
            return None
        spec = exchange.spec if exchange.spec is not None and exchange.spec.task is not None else None
        terms = spec.task if spec is not None else None
        if message.direction is Direction.REQUEST:
            return await self._requested(exchange, spec, terms, message)
        if exchange.is_unseen_there:
            return None  # from the callee's record: it tells of states that were, and were told when they were
        report = report_of(exchange, terms, message)
        return await self._reported(exchange, spec, machine_of(terms), report, message) if report else None

    async def _requested(
        self, exchange: Exchange, spec: Spec | None, terms: TaskTerms | None, message: Message
    ) -> Sequence[Finding] | None:
        """What A2A has refused on a task that is over, found before the callee refuses it or fails to."""
        task = asked_about(exchange, terms, message)
        if not task:
            return None
        operation = operation_of(exchange.method)
        known = await self._tasks.ask(exchange, *knowing(exchange.callee, bounded(task)))
        if known is None or known.state not in A2A.terminal:
            return None
        if operation == "CancelTask" and known.state == CANCELED:
            return None  # 3.3.1: canceling again is allowed
        return [findings.after_the_end(spec, operation, task, known)]

    async def _reported(
        self, exchange: Exchange, spec: Spec | None, machine: Machine, report: Report, message: Message
    ) -> Sequence[Finding] | None:
        task = bounded(report.task)
        if not report.state:
            await self._tasks.ask(
                exchange, lambda tasks: tasks.progress(exchange.callee, task, is_answer=report.is_answer)
            )
            return None
        if report.state not in machine.states:
            self._reporter.task_moved(exchange.callee, OTHER, OTHER, is_legal=False)
            return [findings.unknown_state(spec, machine, task)] if spec else None
        sighting = self._sighting(exchange, spec, machine, report, message)
        observed = await self._tasks.ask(exchange, lambda tasks: tasks.observe_task(sighting))
        self._count(exchange.callee, machine, report.state, observed)
        return list(findings.step_findings(spec, machine, report.state, task, observed)) or None

    def _sighting(
        self, exchange: Exchange, spec: Spec | None, machine: Machine, report: Report, message: Message
    ) -> Sighting:
        lineage, began_ns = exchange.lineage, exchange.dispatched_ns or exchange.started_ns
        return Sighting(
            callee=exchange.callee,
            task=bounded(report.task),
            state=report.state,
            follows=machine.before(report.state),
            cause=Cause(
                caller=exchange.caller,
                method=exchange.method[:METHOD_CHARS_MAX],
                exchange=lineage.exchange_id,
                conversation=lineage.conversation,
                trace_id=lineage.trace_id,
            ),
            sequence=message.sequence,
            is_terminal=report.state in machine.terminal,
            is_waiting=report.state in machine.interrupted,
            is_progress=report.is_progress,
            is_held=spec is not None and weakest(exchange.mode_for(self.name), spec.mode) is Mode.ENFORCE,
            age_s=(self._clock.monotonic_ns() - began_ns) / 1e9,
            work=work_of(exchange) if message.sequence == 0 else "",
        )

    def _count(self, callee: str, machine: Machine, state: str, observed: Observed) -> None:
        """Each step once, whichever sidecar sees it."""
        if observed.is_again or observed.step in (Step.SAME, Step.LATE):
            return
        known = observed.before if observed.before in machine.states else OTHER
        before = NONE if observed.step is Step.FIRST else known
        self._reporter.task_moved(callee, before, state, is_legal=observed.step is not Step.ILLEGAL)


def operation_of(method: str) -> str:
    return method.rpartition("/")[2]


def asked_about(exchange: Exchange, terms: TaskTerms | None, message: Message) -> str:
    """The id of the task that a request is about, where A2A has it refused for one that is over; else empty."""
    operation = operation_of(exchange.method)
    if operation not in findings.AFTER_THE_END or not exchange.method.startswith(A2A_SERVICES):
        return ""
    return names_of(message).task_id if machine_of(terms) is A2A else ""


def knowing(callee: str, task: str) -> tuple[Callable[[Tasks], Coroutine[Any, Any, Known | None]], Key]:
    return lambda tasks: tasks.known_task(callee, task), ("known_task", callee, task)
