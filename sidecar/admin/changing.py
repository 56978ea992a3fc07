"""Changing: the methods that leave something else than they found. Each says why, and how far it reaches."""

from __future__ import annotations

import math
from typing import Any, Final

from sidecar.admin import convert
from sidecar.admin.gate import Asked
from sidecar.admin.levels import KINDS, control_name, level_of, levels
from sidecar.admin.looking import Looking
from sidecar.admin.ports import BudgetFacts, World
from sidecar.admin.problem import Problem, Violation, Why, invalid, not_allowed, not_found
from sidecar.admin.targets import because_in, loop_in, name_of, said
from sidecar.engine.exchange import Mode
from sidecar.engine.state.controls import TEXT_BYTES_MAX, Control, Kind, Name
from sidecar.errors import Mistake
from sidecar.v1 import admin_pb2

FOR_S_MAX: Final = 30 * 86_400.0
LIMIT_MICRO_USD_MAX: Final = 10**15
"""A billion dollars: more is a slip."""
MISTAKES_TOLD: Final = 20
"""Mistakes of a spec that a refusal names."""


class Changing:
    """One method of the service each, by its name."""

    def __init__(self, world: World, looking: Looking) -> None:
        self._world = world
        self._looking = looking

    # Quarantine.

    async def Quarantine(self, asked: Asked) -> admin_pb2.QuarantineResponse:  # noqa: N802 - named as the service names it
        request = asked.request
        name, because, for_s = name_of(request), because_in(request), seconds_in(request.for_s)
        control = self._control(asked, name, because, spares_open=request.spare_open)
        self._world.board.put(control, for_s)
        change = await self._told(name)
        standing = self._world.board.at(name)
        if standing is None:  # so short that it is over
            raise not_allowed("for_s", "it has ended already")
        return admin_pb2.QuarantineResponse(quarantined=self._looking.quarantined(standing), change=change)

    async def Release(self, asked: Asked) -> admin_pb2.Change:  # noqa: N802
        name = name_of(asked.request)
        because_in(asked.request)
        if not self._world.board.remove(name):
            raise not_found("target", f"this {name.kind} is not held back")
        return await self._told(name)

    # Modes.

    async def SetMode(self, asked: Asked) -> admin_pb2.SetModeResponse:  # noqa: N802
        request = asked.request
        name, because, mode = self._level(request), because_in(request), mode_in(request.mode)
        if request.level == admin_pb2.LEVEL_CHECK and mode is Mode.ENFORCE:
            sentence = "a check has no mode of its own to strengthen: set it to observe, or clear that again"
            raise not_allowed("mode", sentence)
        self._world.board.put(self._control(asked, name, because, value=mode.value))
        change = await self._told(name)
        await self._world.specs.settled()
        return admin_pb2.SetModeResponse(mode=self._level_now(request), change=change)

    async def ClearMode(self, asked: Asked) -> admin_pb2.Change:  # noqa: N802
        name = self._level(asked.request)
        because_in(asked.request)
        if not self._world.board.remove(name):
            raise not_found("name", "its mode was not changed")
        await self._world.specs.settled()
        return await self._told(name)

    # Specs.

    async def ValidateSpec(self, asked: Asked) -> admin_pb2.ValidateSpecResponse:  # noqa: N802
        text = text_in(asked.request.text)
        name, mistakes = await self._read(text)
        return admin_pb2.ValidateSpecResponse(mistakes=map(convert.mistake_of, mistakes), name=name)

    async def PutSpec(self, asked: Asked) -> admin_pb2.PutSpecResponse:  # noqa: N802
        text, because = text_in(asked.request.text), because_in(asked.request)
        name, mistakes = await self._read(text)
        if mistakes:
            raise unusable(mistakes)
        control = Name(Kind.SPEC, name)
        before = self._world.board.at(control)
        self._world.board.put(self._control(asked, control, because, value=text))
        change = await self._told(control)
        if not await self._world.specs.settled():
            raise Problem(Why.TOO_SLOW, f"{name} was put and is still compiled: GetSpec shows when it is in force")
        for spec in self._world.specs.specs:
            standing = self._world.board.at(control)
            if spec.name == name and standing is not None and spec.source.startswith("put:"):
                shown = convert.spec_of(spec, self._world.specs, standing.control, is_whole=True)
                return admin_pb2.PutSpecResponse(spec=shown, change=change)
        problems = list(self._world.specs.problems)
        if before is None:
            self._world.board.remove(control)
        else:
            self._world.board.put(before.control)  # the last good one stays
        raise unusable(problems)

    async def DeleteSpec(self, asked: Asked) -> admin_pb2.Change:  # noqa: N802
        name = said(asked.request.name, "name")
        because_in(asked.request)
        if not self._world.board.remove(control := Name(Kind.SPEC, name)):
            if any(spec.name == name for spec in self._world.specs.specs):
                raise not_allowed("name", f"{name} comes from a file: remove it there, or set its mode to observe")
            raise not_found("name", f"no spec {name} was put")
        await self._world.specs.settled()
        return await self._told(control)

    # Money.

    async def SetBudgetLimit(self, asked: Asked) -> admin_pb2.SetBudgetLimitResponse:  # noqa: N802
        request, ledger = asked.request, self._world.store.ledger
        budget = self._budget(request.budget)
        because_in(request)
        which = request.WhichOneof("limit")
        if which is None or (which == "configured" and not request.configured):
            raise invalid("limit", "limit_micro_usd, or configured: true")
        if which == "configured":
            await ledger.set_limit(budget.name, None)
        elif not 0 <= request.limit_micro_usd <= LIMIT_MICRO_USD_MAX:
            raise invalid("limit_micro_usd", f"0 to {LIMIT_MICRO_USD_MAX} millionths of a US dollar")
        else:
            await ledger.set_limit(budget.name, request.limit_micro_usd)
        return admin_pb2.SetBudgetLimitResponse(budget=await self._looking.budget(budget), change=self._reach())

    async def ResetBudget(self, asked: Asked) -> admin_pb2.ResetBudgetResponse:  # noqa: N802
        request = asked.request
        budget = self._budget(request.budget)
        because_in(request)
        if not request.HasField("account"):
            raise invalid("account", "which one; a budget for all has the empty one")
        if (budget.scope == "global") != (not request.account):
            allowed = "the empty one" if budget.scope == "global" else f"a name, as each {budget.scope} has its own"
            raise invalid("account", allowed)
        balance, forgotten = await self._world.store.ledger.reset(budget.hold_of(request.account))
        return admin_pb2.ResetBudgetResponse(
            account=convert.account_of(balance), forgotten_micro_usd=forgotten, change=self._reach()
        )

    async def ResumeLoop(self, asked: Asked) -> admin_pb2.Change:  # noqa: N802
        conversation, edge_id, fingerprint = loop_in(asked.request.id)
        because_in(asked.request)
        if not await self._world.store.visits.resume(conversation, edge_id, fingerprint):
            raise not_found("id", "this loop is not broken off, or no longer")
        return self._reach()

    # Inside.

    def _control(self, asked: Asked, name: Name, because: str, **more: Any) -> Control:
        return Control(name, asked.caller.who, because, self._world.clock.unix_ns() // 1_000_000, **more)

    async def _told(self, name: Name) -> admin_pb2.Change:
        reach = await self._world.board.told(name)
        is_kept = self._world.board.outlives_process and not reach.startswith("process")
        return admin_pb2.Change(reach=convert.REACHES[reach], survives_restart=is_kept)

    def _reach(self) -> admin_pb2.Change:
        """Of what the store itself has just done."""
        board = self._world.board
        return admin_pb2.Change(reach=convert.REACHES[board.reach], survives_restart=board.outlives_process)

    def _level(self, request: Any) -> Name:
        if request.level not in KINDS:
            raise invalid("level", "LEVEL_ROOT, LEVEL_ROUTE, LEVEL_SPEC, LEVEL_CHECK or LEVEL_VERIFIER")
        is_root = request.level == admin_pb2.LEVEL_ROOT
        if is_root != (not request.name):
            raise invalid("name", "empty for the root" if is_root else "a name; nothing never means all")
        known = {each.name for each in levels(self._world) if each.level == request.level}
        name = control_name(self._world, request.level, request.name)
        if request.name not in known and self._world.board.at(name) is None:
            names = ", ".join(sorted(known)) or "none"
            raise not_found("name", f"there is no {request.name[:200]} here; known: {names}")
        return name

    def _level_now(self, request: Any) -> admin_pb2.ModeLevel | None:
        found = (each for each in levels(self._world) if (each.level, each.name) == (request.level, request.name))
        return next(map(level_of, found), None)

    async def _read(self, text: str) -> tuple[str, list[Mistake]]:
        name = self._world.specs.name_in(text)
        if not name:
            # Whatever keeps the name from being read is said by those who read it as a spec.
            return "", list(await self._world.specs.mistakes_in("", text))
        return name, list(await self._world.specs.mistakes_in(name, text))

    def _budget(self, name: str) -> BudgetFacts:
        said(name, "budget")
        for budget in self._world.budgets:
            if budget.name == name:
                return budget
        known = ", ".join(each.name for each in self._world.budgets) or "none"
        raise not_found("budget", f"no budget {name[:200]}; configured: {known}")


def seconds_in(for_s: float) -> float | None:
    if not (math.isfinite(for_s) and 0 <= for_s <= FOR_S_MAX):
        raise invalid("for_s", f"seconds, up to {FOR_S_MAX:g}; 0 until it is released")
    return for_s or None


def mode_in(mode: int) -> Mode:
    for known, number in convert.MODES.items():
        if known is not None and number == mode:
            return known
    raise invalid("mode", "MODE_OBSERVE or MODE_ENFORCE; ClearMode takes a change back")


def text_in(text: str) -> str:
    size_bytes = len(text.encode())
    if not text.strip():
        raise invalid("text", "a spec, in YAML or JSON")
    if size_bytes > TEXT_BYTES_MAX:
        raise invalid("text", f"at most {TEXT_BYTES_MAX} bytes; found {size_bytes}")
    return text


def unusable(mistakes: list[Mistake]) -> Problem:
    """A spec that cannot be put: every mistake, each where it is."""
    told = [Violation("text", str(each)) for each in mistakes[:MISTAKES_TOLD]]
    first = str(mistakes[0]) if mistakes else "it could not be put in force"
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return Problem(Why.INVALID, f"text: {first}{more}", {"field": "text"}, told)
