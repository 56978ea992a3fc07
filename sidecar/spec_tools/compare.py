"""Two versions of a spec: what changed, and whom each change breaks.

A caller is broken where a request that was allowed is not any more. A reader of answers is broken where an answer that
was not allowed is so now: it may meet what it was promised never to see. What cannot be told counts as breaking, with
the reason. Two specs of two folders are versions of each other if their names are equal up to the slash.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sidecar.engine.exchange import Mode
from sidecar.engine.message import Direction
from sidecar.engine.specs import SpecTable, pointer_of, shown
from sidecar.errors import ConfigError, Mistake
from sidecar.spec_tools.documents import Place, read_data
from sidecar.spec_tools.keywords import Effect, same_value
from sidecar.spec_tools.schemas import ANYTHING, schema_changes
from sidecar.units import BadValue, parse_duration


class Verdict(StrEnum):
    """Whom a change breaks."""

    CALLERS = "breaking for callers"
    READERS = "breaking for readers of answers"
    UNKNOWN = "cannot tell"
    COMPATIBLE = "compatible"

    @property
    def is_breaking(self) -> bool:
        return self is not Verdict.COMPATIBLE


VERDICTS: Mapping[tuple[Direction, Effect], Verdict] = {
    (Direction.REQUEST, Effect.NARROWED): Verdict.CALLERS,
    (Direction.REQUEST, Effect.WIDENED): Verdict.COMPATIBLE,
    (Direction.REQUEST, Effect.UNKNOWN): Verdict.UNKNOWN,
    (Direction.RESPONSE, Effect.NARROWED): Verdict.COMPATIBLE,
    (Direction.RESPONSE, Effect.WIDENED): Verdict.READERS,
    (Direction.RESPONSE, Effect.UNKNOWN): Verdict.UNKNOWN,
}

NOT_COMPARED = ("stream", "idempotency", "task", "resource", "cost", "consistency", "verifiers")
"""Blocks of a spec whose every change is for a person to judge."""

COMPARED = ("spec", "match", "mode", "request", "response", "errors", "deadline")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions."""

    verdict: Verdict
    spec: str
    """`researcher/v1 -> researcher/v2`."""
    where: str
    """The place in the spec: `request.schema`."""
    pointer: str
    """JSON Pointer within that place; empty for all of it."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a spec: what its file says."""

    name: str
    path: Path
    data: Mapping[str, Any]


def versions_in(table: SpecTable) -> list[Version]:
    """The specs of a table that loaded, as their files say them."""
    paths = [(spec.name, Path(spec.source).absolute()) for spec in table.specs]
    return [Version(name, path, read_data(path)) for name, path in paths]


def compare_tables(old: SpecTable, new: SpecTable) -> Iterator[Change]:
    """Pairs the specs of two tables and compares each pair. Raises ConfigError where a pair is ambiguous."""
    before, after = families(versions_in(old)), families(versions_in(new))
    if len(before) == len(after) == 1:
        before = dict(zip(after, before.values(), strict=True))
    for family in [*after, *(name for name in before if name not in after)]:
        yield from compare(before.get(family), after.get(family))


def families(versions: list[Version]) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for version in versions:
        first = found.setdefault(version.name.partition("/")[0], version)
        if first is not version:
            allowed = "one version of each spec on each side"
            raise ConfigError([Mistake(str(version.path), f"{version.name} beside {first.name}", allowed)])
    return found


def compare(old: Version | None, new: Version | None) -> Iterator[Change]:
    """Every difference between two versions; None where there is no such spec."""
    title = f"{old.name if old else 'nothing'} -> {new.name if new else 'nothing'}"
    nothing = Version("", Path(), {})
    if old is None or new is None:
        yield Change(Verdict.COMPATIBLE, title, "spec", "", "the spec is new" if new else "the spec is gone")
    for verdict, where, pointer, sentence in _changes(old or nothing, new or nothing):
        yield Change(verdict, title, where, pointer, sentence)


_Found = Iterator[tuple[Verdict, str, str, str]]


def _changes(old: Version, new: Version) -> _Found:
    if old.name and new.name:
        yield from match_changes(old.data, new.data)
        yield from mode_changes(old.data.get("mode"), new.data.get("mode"))
    for direction in Direction:
        yield from part_changes(direction, old, new)
        yield from rule_changes(direction, old.data, new.data)
    yield from error_changes(old.data, new.data)
    yield from deadline_changes(old.data, new.data)
    yield from other_changes(old.data, new.data)


def match_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Found:
    if old["match"] != new["match"]:
        sentence = f"is {shown(new['match'])}, was {shown(old['match'])}: whose calls come under it or leave it"
        yield Verdict.UNKNOWN, "match", "", sentence


def mode_changes(old: str | None, new: str | None) -> _Found:
    """Enforcing what was only noted refuses calls that passed; no longer enforcing lets answers pass that did not."""
    if old == new:
        return
    words = f"is {new or 'the mode of the route'}, was {old or 'the mode of the route'}"
    if old == Mode.OBSERVE and new == Mode.ENFORCE:
        yield Verdict.CALLERS, "mode", "", f"{words}: what breaks the spec is refused now"
    elif old == Mode.ENFORCE and new == Mode.OBSERVE:
        yield Verdict.READERS, "mode", "", f"{words}: answers that break the spec are no longer held back"
    else:
        yield Verdict.UNKNOWN, "mode", "", f"{words}, which is not in the spec"


Part = tuple[Place, bool]
"""A schema, and whether the path to it must select something."""

NO_PART: Part = (ANYTHING, False)


def part_changes(direction: Direction, old: Version, new: Version) -> _Found:
    """The whole document's schema, and each part's. Parts are paired by their path."""
    yield from schema_part_changes(direction, "schema", whole_of(old, direction), whole_of(new, direction))
    before, after = parts_of(old, direction), parts_of(new, direction)
    for key in [*after, *(key for key in before if key not in after)]:
        one, two = before.get(key, NO_PART), after.get(key, NO_PART)
        yield from schema_part_changes(direction, f"parts[{key[0]}]", one, two)


def schema_part_changes(direction: Direction, where: str, old: Part, new: Part) -> _Found:
    for step in schema_changes(old[0], new[0]):
        yield VERDICTS[direction, step.effect], f"{direction}.{where}", pointer_of(step.keys), step.sentence
    if old[1] != new[1]:
        effect = Effect.NARROWED if new[1] else Effect.WIDENED
        sentence = "must select something now" if new[1] else "may select nothing now"
        yield VERDICTS[direction, effect], f"{direction}.{where}", "", sentence


def whole_of(version: Version, direction: Direction) -> Part:
    return place_of(version.data.get(direction, {}).get("schema", True), version), False


def parts_of(version: Version, direction: Direction) -> dict[tuple[str, int], Part]:
    """Keyed by path, and by how many parts before had the same."""
    found: dict[tuple[str, int], Part] = {}
    for part in version.data.get(direction, {}).get("parts", ()):
        count = sum(path == part["at"] for path, _ in found)
        found[part["at"], count] = place_of(part["schema"], version), part.get("required", False)
    return found


def place_of(schema: Any, version: Version) -> Place:
    has_id = isinstance(schema, dict) and isinstance(schema.get("$id"), str)
    return Place(schema, schema, None if has_id else version.path)


def rule_changes(direction: Direction, old: Mapping[str, Any], new: Mapping[str, Any]) -> _Found:
    before, after = (
        {rule["id"]: rule["expr"] for rule in data.get(direction, {}).get("rules", ())} for data in (old, new)
    )
    where = f"{direction}.rules"
    for rule in [*after, *(rule for rule in before if rule not in after)]:
        if rule not in before:
            yield VERDICTS[direction, Effect.NARROWED], where, pointer_of((rule,)), "the rule is new"
        elif rule not in after:
            yield VERDICTS[direction, Effect.WIDENED], where, pointer_of((rule,)), "the rule is gone"
        elif before[rule] != after[rule]:
            yield Verdict.UNKNOWN, where, pointer_of((rule,)), "the expression changed; expressions are not compared"


def error_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Found:
    """Status codes are answers too: callers handle those that are promised."""
    before, after = old.get("errors"), new.get("errors")
    if before is None and after is not None:
        yield Verdict.COMPATIBLE, "errors", "", f"only {', '.join(after) or 'OK'} may be answered now"
    elif before is not None and after is None:
        yield Verdict.READERS, "errors", "", "any status code may be answered now"
    elif before is not None and after is not None:
        yield from ((Verdict.READERS, "errors", "", f"{one} may be answered now") for one in after if one not in before)
        yield from ((Verdict.COMPATIBLE, "errors", "", f"no more {one}") for one in before if one not in after)


def deadline_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Found:
    before, after = old.get("deadline"), new.get("deadline")
    if before != after:
        yield deadline_verdict(before, after), "deadline", "", f"is {after or 'none'}, was {before or 'none'}"


def deadline_verdict(before: str | None, after: str | None) -> Verdict:
    try:
        is_shorter = seconds(after) < seconds(before)
    except BadValue:
        return Verdict.UNKNOWN
    return Verdict.CALLERS if is_shorter else Verdict.COMPATIBLE


def seconds(deadline: str | None) -> float:
    """No deadline is the longest."""
    return math.inf if deadline is None else parse_duration(deadline)


def other_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Found:
    for block in sorted((old.keys() | new.keys()) - set(COMPARED)):
        if (block in old) != (block in new) or not same_value(old.get(block), new.get(block)):
            yield Verdict.UNKNOWN, block, "", f"changed; what a change of `{block}` means is for a person to judge"
