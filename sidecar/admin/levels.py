"""Levels: the mode of the root, and of every route, spec, check and verifier, as it is said and as it is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar.admin.convert import MODES, author_of
from sidecar.admin.ports import World
from sidecar.engine.exchange import Mode
from sidecar.engine.state.board import Standing
from sidecar.engine.state.controls import Kind, Name, pair
from sidecar.v1 import admin_pb2

KINDS: Final[Mapping[admin_pb2.Level, Kind]] = {
    admin_pb2.LEVEL_ROOT: Kind.ROOT_MODE,
    admin_pb2.LEVEL_ROUTE: Kind.ROUTE_MODE,
    admin_pb2.LEVEL_SPEC: Kind.SPEC_MODE,
    admin_pb2.LEVEL_CHECK: Kind.CHECK_MODE,
    admin_pb2.LEVEL_VERIFIER: Kind.VERIFIER_MODE,
}


@dataclass(frozen=True, slots=True)
class LevelSeen:
    """One level."""

    level: admin_pb2.Level
    name: str
    configured: Mode | None
    effective: Mode | None
    changed: Standing | None = None

    @property
    def widens(self) -> bool:
        """Whether more may be refused by this change than was configured. A mode left out could have been either."""
        if self.changed is None:
            return False
        return self.changed.control.value == Mode.ENFORCE.value and self.configured is not Mode.ENFORCE


def control_name(world: World, level: admin_pb2.Level, name: str) -> Name:
    """Specs are the fleet's; all else is of the sidecars of one agent."""
    kind = KINDS[level]
    if kind is Kind.ROOT_MODE:
        return Name(kind, world.agent)
    return Name(kind, name if kind is Kind.SPEC_MODE else pair(world.agent, name))


def levels(world: World) -> Iterator[LevelSeen]:
    """The root first, then routes, specs, checks and verifiers."""
    modes, files = world.modes, {spec.name: spec.mode for spec in world.specs.from_files}
    yield level(world, admin_pb2.LEVEL_ROOT, "", modes.configured_root, modes.root)
    for route, own in modes.configured_routes.items():
        yield level(world, admin_pb2.LEVEL_ROUTE, route, own, modes.of_route(route))
    for spec in world.specs.specs:
        changed = changed_mode(world, admin_pb2.LEVEL_SPEC, spec.name)
        configured = files.get(spec.name) if changed else spec.mode
        yield level(world, admin_pb2.LEVEL_SPEC, spec.name, configured, spec.mode)
    for check in world.checks:
        is_observed = check in modes.observed_checks
        yield level(world, admin_pb2.LEVEL_CHECK, check, None, Mode.OBSERVE if is_observed else None)
    for verifier in world.verifiers:
        changed = changed_mode(world, admin_pb2.LEVEL_VERIFIER, verifier.name)
        effective = Mode(changed.control.value) if changed else verifier.mode
        yield level(world, admin_pb2.LEVEL_VERIFIER, verifier.name, verifier.mode, effective)


def level(world: World, kind: admin_pb2.Level, name: str, configured: Mode | None, effective: Mode | None) -> LevelSeen:
    return LevelSeen(kind, name, configured, effective, changed_mode(world, kind, name))


def changed_mode(world: World, kind: admin_pb2.Level, name: str) -> Standing | None:
    return world.board.at(control_name(world, kind, name))


def level_of(seen: LevelSeen) -> admin_pb2.ModeLevel:
    changed = seen.changed
    return admin_pb2.ModeLevel(
        level=seen.level,
        name=seen.name,
        configured=MODES[seen.configured],
        changed=MODES[Mode(changed.control.value)] if changed else MODES[None],
        effective=MODES[seen.effective],
        widens=seen.widens,
        author=author_of(changed.control) if changed else None,
    )
