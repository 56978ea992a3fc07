"""What the task check complains of, in sentences. States are named only where a machine knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Mode
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.specs import Machine, Spec, quoted
from sidecar.engine.state.tasks import Known, Observed, Step, StuckTask
from sidecar.errors import Reason

CHECK: Final = "task"

AFTER_THE_END: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "SendMessage": ("message-to-finished", "3.1.1", "a message is sent to a task"),
        "SendStreamingMessage": ("message-to-finished", "3.1.2", "a message is sent to a task"),
        "SubscribeToTask": ("subscribe-to-finished", "3.1.6", "updates are subscribed to of a task"),
        "CancelTask": ("cancel-finished", "3.1.5", "a task is to be canceled"),
    }
)
"""What A2A v1 has refused by whoever holds a task that is over: by method the rule, its section and the words."""


def step_findings(spec: Spec | None, machine: Machine, state: str, task: str, observed: Observed) -> Iterator[Finding]:
    """What is wrong with a sighting, by what was known when it came."""
    if observed.step is Step.ILLEGAL:
        yield illegal(spec, machine, state, task, observed)
    elif observed.step is Step.FIRST:
        if not machine.is_legal(None, state):
            sentence = f"a task is first seen in {quoted(state)}, in which none begins"
            yield made(spec, "first-seen", Severity.WARNING, sentence, task)
        if observed.rival:
            sentence = "a task was begun for the same work of the same caller while another one for it is still open"
            yield made(spec, "duplicate", Severity.WARNING, sentence, task, {"open_task": observed.rival})


def illegal(spec: Spec | None, machine: Machine, state: str, task: str, observed: Observed) -> Finding:
    before = quoted(observed.before) if observed.before in machine.states else "a state that its machine does not know"
    if observed.before in machine.terminal:
        rule, sentence = "unfinished", f"a task is said to be in {quoted(state)}, after it ended in {before}"
    else:
        rule, sentence = "transition", f"a task goes from {before} to {quoted(state)}, which its machine does not allow"
    return made(spec, rule, Severity.ERROR, sentence, task, reason=Reason.ILLEGAL_TASK_TRANSITION)


def unknown_state(spec: Spec, machine: Machine, task: str) -> Finding:
    sentence = f"a task is in a state that the machine {machine.name} does not know"
    return made(spec, "unknown-state", Severity.ERROR, sentence, task, reason=Reason.ILLEGAL_TASK_TRANSITION)


def after_the_end(spec: Spec | None, operation: str, task: str, known: Known) -> Finding:
    """The callee has to refuse such a call, so it goes on to it: what we know may be behind what it knows."""
    rule, section, words = AFTER_THE_END[operation]
    sentence = f"{section}: {words} that has ended in {quoted(known.state)}"
    return made(spec, rule, Severity.WARNING, sentence, task, {"section": section})


def stuck(found: StuckTask) -> Finding:
    """Nobody calls at this moment, so there is nothing to refuse."""
    evidence = {"idle_s": f"{found.idle_s:.0f}"}
    if found.is_answered:
        sentence = f"an answer was seen, and {found.idle_s:.0f} s later the task is still in {quoted(found.state)}"
        return made(None, "answered", Severity.WARNING, sentence, found.task, evidence)
    sentence = f"a task in {quoted(found.state)} has made no progress for {found.idle_s:.0f} s"
    return made(None, "stuck", Severity.WARNING, sentence, found.task, evidence)


def made(
    spec: Spec | None,
    rule: str,
    severity: Severity,
    sentence: str,
    task: str,
    evidence: Mapping[str, str] = MappingProxyType({}),
    reason: Reason | None = None,
) -> Finding:
    """Without a spec nobody has asked for more than to be told."""
    return Finding(
        check=CHECK,
        rule=rule,
        severity=severity,
        message=f"{spec.name}: {sentence}" if spec else sentence,
        reason=reason,
        mode=spec.mode if spec else Mode.OBSERVE,
        spec=spec.name if spec else "",
        evidence={"task": bounded(task), **evidence},
    )
