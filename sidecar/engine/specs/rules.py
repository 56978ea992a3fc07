"""Rules: expressions that every message of one direction must make true, each evaluated once a message."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from sidecar.engine.finding import Severity
from sidecar.engine.message import JSON, Direction
from sidecar.engine.specs.cel import Exhausted, Expression, Unevaluated, activation
from sidecar.engine.specs.nesting import MAX_DEPTH, children, is_deeper

log = logging.getLogger(__name__)

MAX_RULES = 64
"""Rules on one side of a spec."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One checkable statement."""

    name: str
    """`request.rules.query-not-blank`, which findings name."""
    expression: Expression
    message: str = ""
    """What to tell people where it is broken. Empty: the expression itself."""
    severity: Severity = Severity.ERROR
    """Of a broken rule. Only an error asks for a refusal."""


class Broken(NamedTuple):
    """A rule that does not hold."""

    rule: str
    severity: Severity
    sentence: str
    """To be read after the direction: `breaks the rule same-context: ...`."""
    keyword: str
    """`false`, `unevaluated`, `exhausted` or `failed`."""


@dataclass(frozen=True)
class Facts:
    """What the rules see of one message."""

    direction: Direction
    documents: Mapping[str, JSON]
    """`request`, and `response` on the way back."""
    edge: tuple[str, str, str]
    """Caller, callee and method."""
    sequence: int
    """0 for the first message of its direction."""
    size_bytes: int
    """Of all documents, as they came."""

    @cached_property
    def activation(self) -> Any:
        caller, callee, method = self.edge
        edge = {"edge.caller": caller, "edge.callee": callee, "edge.method": method}
        return activation(self.direction, {**self.documents, **edge, "sequence": self.sequence})

    @cached_property
    def longest(self) -> int:
        """Items of the longest list or object."""
        return max(longest(document) for document in self.documents.values())

    @cached_property
    def is_too_deep(self) -> bool:
        """Whether the engine, which is native code, would go deeper than it safely can."""
        return any(is_deeper(document, MAX_DEPTH) for document in self.documents.values())


class Rules:
    """The rules of one direction, in the order of the spec."""

    __slots__ = ("_direction", "rules")

    def __init__(self, direction: Direction, rules: Iterable[Rule]) -> None:
        self._direction = direction
        self.rules = tuple(rules)

    def broken(self, facts: Facts) -> Iterator[Broken]:
        """The rules that do not hold. Each is evaluated once; whoever stops asking leaves the rest unevaluated."""
        if facts.is_too_deep:
            sentence = f"nests deeper than the {MAX_DEPTH} levels that rules can see, or its request does"
            yield Broken(f"{self._direction}.rules", Severity.ERROR, sentence, "depth")
            return
        for rule in self.rules:
            if (found := judged(rule, facts)) is not None:
                yield found

    def __len__(self) -> int:
        return len(self.rules)


def judged(rule: Rule, facts: Facts) -> Broken | None:
    """A rule that cannot be evaluated is broken: otherwise a message that confuses it would have found a way round."""
    try:
        if is_too_much(rule, facts):
            raise Exhausted("would go through more of the message than it may")
        return (
            None if rule.expression.holds(facts.activation) else broken(rule, "false", rule.message or rule_text(rule))
        )
    except Unevaluated as error:
        return broken(rule, "unevaluated", f"it {error}")
    except Exhausted as error:
        return broken(rule, "exhausted", f"it {error}, which counts as a violation", Severity.INTERNAL)
    except Exception as error:
        log.exception("%s could not be evaluated", rule.name)
        said = f"it could not be evaluated ({type(error).__name__}), which counts as a violation"
        return broken(rule, "failed", said, Severity.INTERNAL)


def is_too_much(rule: Rule, facts: Facts) -> bool:
    """Small messages need no look at their lists."""
    work = rule.expression.work
    return not work.is_small(facts.size_bytes) and work.is_too_much(facts.longest, facts.size_bytes)


def broken(rule: Rule, keyword: str, why: str, severity: Severity | None = None) -> Broken:
    name = rule.name.rpartition(".rules.")[2]
    return Broken(rule.name, severity or rule.severity, f"breaks the rule {name}: {why}", keyword)


def rule_text(rule: Rule) -> str:
    text = rule.expression.text
    return text if len(text) <= 120 else f"{text[:119]}…"


def longest(document: JSON) -> int:
    """It goes level by level, so depth costs no stack."""
    most, level = 0, [document]
    while level:
        inner: list[JSON] = []
        for value in level:
            if isinstance(value, dict | list):
                most = max(most, len(value))
                inner.extend(each for _, each in children(value))
        level = inner
    return most
