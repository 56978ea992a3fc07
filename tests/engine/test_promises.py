"""Promises beside the terms: what a spec declares, typed, and what is refused although its form is right."""

from __future__ import annotations

from typing import Any

import pytest
from a2a.types import a2a_pb2

from sidecar.engine.exchange import Mode
from sidecar.engine.specs import (
    A2A,
    BrokenSpec,
    CostTerms,
    Idempotency,
    PanelTerms,
    ReadTerms,
    Spec,
    TaskTerms,
    compile_spec,
)
from sidecar.engine.specs.duration import parse_duration
from sidecar.engine.specs.flaws import BrokenValue


def compiled(**data: Any) -> Spec:
    return compile_spec({"spec": "a/v1", "match": {}, **data}, base_uri="file:///a.yaml")


def flaws(**data: Any) -> list[tuple[Any, str, str]]:
    with pytest.raises(BrokenSpec) as caught:
        compiled(**data)
    return [(flaw.keys, flaw.found, flaw.allowed) for flaw in caught.value.flaws]


def test_what_is_left_out_is_not_promised():
    """A spec that says nothing binds nobody."""
    spec = compiled()
    blocks = (spec.errors, spec.deadline_s, spec.idempotency, spec.task, spec.resource, spec.cost, spec.panel)
    assert (*blocks, spec.consistency, spec.reads) == (None,) * 9


def test_an_empty_block_has_its_documented_defaults():
    """`task: {}` is enough for A2A, and `idempotency: {}` takes the arguments as the key."""
    spec = compiled(idempotency={}, task={}, cost={}, verifiers={"require": ["a", "b"]}, errors=[])
    assert spec.idempotency == Idempotency(key=None, retain_s=86_400.0, duplicates="replay")
    assert spec.task == TaskTerms(machine=A2A)
    assert spec.cost == CostTerms()
    assert spec.errors == frozenset()
    assert spec.panel == PanelTerms(("a", "b"), 2, None, 2.0, "inline", 1.0, {})


def test_every_entry_is_read_with_its_unit():
    """Durations are seconds, money is whole micro-USD, paths are compiled."""
    spec = compiled(
        deadline="1m30s",
        consistency="consistent",
        idempotency={"key": "$.id", "retain": "2h", "duplicates": "reject"},
        reads={"single_flight": True},
        resource={"key": "$.account.id", "version": "$.account.version", "writes": True, "owner": "billing"},
        cost={"model": "$.m", "input_tokens": "$.i", "output_tokens": "$.o", "estimate_usd": 0.02},
    )
    assert (spec.deadline_s, spec.consistency) == (90.0, "consistent")
    assert spec.reads == ReadTerms(single_flight=True, across_callers=False)
    assert spec.idempotency is not None and spec.resource is not None and spec.cost is not None
    assert spec.idempotency.key is not None
    assert (spec.idempotency.key.text, spec.idempotency.retain_s) == ("$.id", 7_200.0)
    assert (spec.resource.key.select({"account": {"id": 7}}), spec.resource.owner) == (
        [(("account", "id"), 7)],
        "billing",
    )
    assert spec.cost.estimate_micro_usd == 20_000


def test_a_panel_carries_all_that_its_check_needs():
    """Names, quorum, mode, time, when, share and settings."""
    block = {"require": ["g", "a"], "quorum": 1, "mode": "observe", "timeout": "500ms", "when": "after", "sample": 0.5}
    panel = compiled(verifiers={**block, "parameters": {"g": {"tolerance": "0.01"}}}).panel
    assert panel == PanelTerms(("g", "a"), 1, Mode.OBSERVE, 0.5, "after", 0.5, {"g": {"tolerance": "0.01"}})


@pytest.mark.parametrize(("when", "is_sound"), [("after", True), ("inline", False), (None, False)])
def test_only_a_late_fail_can_quarantine(when: str | None, is_sound: bool):
    """Inline, a fail refuses the answer itself; the flaw says what to write instead."""
    block = {"require": ["g"], "on_fail": "quarantine", **({"when": when} if when else {})}
    if is_sound:
        panel = compiled(verifiers=block).panel
        assert panel is not None
        assert panel.on_fail == "quarantine"
        return
    allowed = "report; or `when: after`, because a fail that comes inline refuses the answer itself"
    assert flaws(verifiers=block) == [(("verifiers", "on_fail"), "quarantine without `when: after`", allowed)]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1ms", 0.001), ("1.5s", 1.5), ("1h30m", 5_400.0), ("366d", 31_622_400.0)]
)
def test_durations_are_seconds(text: str, seconds: float):
    """Units from large to small."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0s", "367d", "1s1h", "1s1s", "-1s"])
def test_durations_without_a_meaning_are_refused(text: str):
    """No unit, nothing at all, more than a year, or units out of order."""
    with pytest.raises(BrokenValue):
        parse_duration(text)


def test_what_the_format_allows_and_sense_does_not_is_refused_at_once():
    """Every flaw with its way."""
    found = flaws(
        deadline="0s",
        idempotency={"key": "$..a..b"},
        reads={"across_callers": True},
        cost={"estimate_usd": 0.0000001},
        verifiers={"require": ["a"], "quorum": 2, "parameters": {"b": {}}, "on_fail": "quarantine"},
    )
    assert {keys for keys, _, _ in found} == {
        ("reads", "across_callers"),
        ("idempotency", "key"),
        ("cost", "estimate_usd"),
        ("verifiers", "quorum"),
        ("verifiers", "parameters", "b"),
        ("verifiers", "on_fail"),
        ("deadline",),
    }


TABLE = {"initial": "open", "transitions": {"open": ["paid", "void"], "paid": ["sent"]}, "terminal": ["sent", "void"]}


def test_a_table_is_a_machine():
    """A step that the table has is legal, staying is, and all else is not."""
    task = compiled(task={"machine": TABLE}).task
    assert task is not None
    machine = task.machine
    assert machine.states == {"open", "paid", "sent", "void"}
    legal = [(None, "open"), ("open", "paid"), ("open", "open"), ("paid", "sent"), ("sent", "sent")]
    illegal = [(None, "paid"), ("open", "sent"), ("sent", "open"), ("void", "paid"), ("open", "lost"), ("lost", "lost")]
    assert all(machine.is_legal(*step) for step in legal)
    assert not any(machine.is_legal(*step) for step in illegal)


@pytest.mark.parametrize(
    ("change", "key", "found"),
    [
        ({"initial": "new"}, "initial", 'the unknown state "new"'),
        ({"transitions": {"open": ["lost"]}, "terminal": []}, "transitions", 'the unknown state "lost" after "open"'),
        ({"terminal": ["sent", "void", "paid"]}, "terminal", '"paid", which has exits'),
        (
            {"transitions": {**TABLE["transitions"], "stuck": []}},  # type: ignore[dict-item]
            "transitions",
            '"stuck" without an exit',
        ),
        ({"initial": ["paid"]}, "transitions", 'the state "open", which nothing leads to'),
        ({"terminal": ["sent", "void", "gone"]}, "transitions", 'the state "gone", which nothing leads to'),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(change: dict[str, Any], key: str, found: str):
    """Unknown, unreachable, or an end that goes on."""
    said = flaws(task={"machine": {**TABLE, **change}})
    assert (("task", "machine", key), found) in [(keys, words) for keys, words, _ in said]


def test_the_a2a_machine_is_that_of_the_protocol():
    """Its states are the enum's, its terminal ones stay, and from all others every state may come next."""
    names = {name for name, _ in a2a_pb2.TaskState.items() if not name.endswith("UNSPECIFIED")}
    assert A2A.states == names
    assert {name.removeprefix("TASK_STATE_") for name in A2A.terminal} == {
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "REJECTED",
    }
    assert {name.removeprefix("TASK_STATE_") for name in A2A.interrupted} == {"INPUT_REQUIRED", "AUTH_REQUIRED"}
    for before in names:
        for after in names:
            assert A2A.is_legal(before, after) is (before == after or before not in A2A.terminal)
