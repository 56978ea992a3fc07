"""The audit: who changed what, and who tried to. Every change is told; refusals are, as many as a reader can use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from sidecar.admin.access import Caller, host_of
from sidecar.admin.ports import Record
from sidecar.admin.problem import Problem
from sidecar.engine.ports import Clock

log = logging.getLogger(__name__)

REFUSALS_MAX: Final = 20
"""Refused changes told one by one within the window: an agent that keeps trying must not fill the journal."""
WINDOW_S: Final = 60.0

BECAUSE_CHARS: Final = 500
WHAT_CHARS: Final = 500


class Audit:
    """Tells the journal, the tail and the log."""

    def __init__(self, clock: Clock, record: Record, told: Callable[[str, str, str, str, str], None]) -> None:
        """`record` writes it down; `told` shows it to whoever tails."""
        self._clock = clock
        self._record = record
        self._told = told
        self._since_ns = 0
        self._refusals = 0

    def done(self, caller: Caller, method: str, request: Any) -> None:
        self._say(logging.INFO, caller.who, method, request, "done")

    def refused(self, caller: Caller | None, peer: str, method: str, request: Any, problem: Problem) -> None:
        """`caller` is None where it is not known who it was."""
        if not self._has_room():
            return
        who = caller.who if caller is not None else f"nobody known, from {host_of(peer)}"
        self._say(logging.WARNING, who, method, request, problem.why.value)

    def _has_room(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._since_ns > WINDOW_S * 1e9:
            if self._refusals > REFUSALS_MAX:
                log.warning("admin: %d more changes were refused", self._refusals - REFUSALS_MAX)
            self._since_ns, self._refusals = now_ns, 0
        self._refusals += 1
        return self._refusals <= REFUSALS_MAX

    def _say(self, level: int, who: str, method: str, request: Any, outcome: str) -> None:
        what, because = what_of(request), str(getattr(request, "because", ""))[:BECAUSE_CHARS]
        fields = {"who": who, "method": method, "what": what, "because": because, "outcome": outcome}
        log.log(level, "admin change", extra={"fields": fields})
        self._told(who, method, what, because, outcome)
        self._record(who, method, what, because, outcome)


def what_of(request: Any) -> str:
    """A request in one line, without the words that explain it and without the text of a spec."""
    if request is None:
        return ""
    told = type(request)()
    told.CopyFrom(request)
    for field in ("because", "text"):
        if field in type(request).DESCRIPTOR.fields_by_name:
            told.ClearField(field)
    return " ".join(str(told).split())[:WHAT_CHARS]
