"""CEL, as a function from bytes to bytes that a cage can run.

The engine is Google's own, in C++. It bounds iterations (10,000 an evaluation), nesting (32) and the length of an
expression, and its patterns cannot backtrack. What it does not bound is size: `map(x, x + x)` doubles. So this module
runs in a child whose memory and time are limited, and leaves out the extensions that multiply text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import ext_math, ext_optional  # type: ignore[import-untyped]

NAMES = ("request", "response", "edge")
_MAX_COMPILED = 512
_MAX_DIGITS = 18
"""Integers up to this many digits fit 64 bits for certain; longer ones are looked at."""

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled expression and the names it cannot do without."""

    program: cel.Expression
    needs: frozenset[str]


class CannotEvaluate(Exception):
    """The expression has no value on this document; the message is fit to be shown."""


@lru_cache(8)
def _environment(names: tuple[str, ...]) -> cel.Env:
    """Documents are dynamic: CEL compares 3 and 3.0 as equal there, which JSON needs."""
    extensions = [ext_optional.ExtOptional(), ext_math.ExtMath()]
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN), extensions=extensions)


@lru_cache(_MAX_COMPILED)
def compiled(expression: str) -> Rule:
    """Raises `CannotEvaluate` where the expression is no CEL, names something unknown or can never be true or false."""
    try:
        program = _environment(NAMES).compile(expression)
    except Exception as error:
        raise CannotEvaluate("it does not compile") from error
    if program.return_type().name() not in ("BOOL", "DYN"):
        raise CannotEvaluate("it is not a yes or no")
    return Rule(program, _needs(expression))


def _needs(expression: str) -> frozenset[str]:
    """The smallest set of names with which it still compiles: the checker knows, so no text need be searched."""
    smaller = (names for size in range(len(NAMES)) for names in combinations(NAMES, size))
    return frozenset(next((names for names in smaller if _compiles(expression, names)), NAMES))


def _compiles(expression: str, names: tuple[str, ...]) -> bool:
    try:
        _environment(names).compile(expression)
    except Exception:  # noqa: BLE001, RUF100 the binding raises RuntimeError for what is wrong with an expression
        return False
    return True


def answer(payload: bytes) -> bytes:
    """Judges `{rules: [{id, expr, message}], documents: {request, response, edge}}`; a name left out is not there.

    Answers `{held, findings}`. A rule that needs a missing response is passed over: it has its turn when there is one.
    """
    task = json.loads(payload, parse_int=_integer)
    documents = task["documents"]
    activation = _environment(NAMES).Activation(documents)
    outcomes = [_outcome(rule, documents, activation) for rule in task["rules"]]
    findings = [found for found in outcomes if isinstance(found, dict)]
    return json.dumps({"held": outcomes.count(True), "findings": findings}).encode()


def _outcome(rule: Mapping[str, str], documents: Mapping[str, Any], activation: cel.Activation) -> Found | bool:
    """True where the rule holds, False where it is not its turn, else what to complain of."""
    try:
        ready = compiled(rule["expr"])
        if "response" in ready.needs and "response" not in documents:
            return False
        holds = _value(ready, documents, activation)
    except CannotEvaluate as error:
        return {"rule": "unjudged", "message": f"The rule {rule['id']!r} could not be judged: {error}."}
    return holds or {"rule": rule["id"], "message": rule["message"], "in_request": "response" not in ready.needs}


def _value(rule: Rule, documents: Mapping[str, Any], activation: cel.Activation) -> bool:
    for name in sorted(rule.needs - documents.keys()):
        raise CannotEvaluate(f"there is no {name}")
    try:
        value = rule.program.eval(activation)
    except RuntimeError as error:
        raise CannotEvaluate(_reason(str(error))) from error
    if value.type() == cel.Type.ERROR:
        raise CannotEvaluate(_reason(str(value.value())))
    if value.type() != cel.Type.BOOL:
        raise CannotEvaluate("its value is not a yes or no")
    return bool(value.value())


def _reason(text: str) -> str:
    """Keys come from the rule and may be quoted; other texts of the engine may hold values of the document."""
    return next(_known_reasons(text), "the engine refused a value or an operation")


def _known_reasons(text: str) -> Iterator[str]:
    if "Key not found" in text:
        yield f"no key {text.rpartition(': ')[2][:80]}"
    if "Iteration budget exceeded" in text:
        yield "more than 10,000 iterations"
    if "overload" in text:
        yield "an operator or function does not fit the types of its values"


def _integer(digits: str) -> int | float:
    """Beyond 64 bits the engine refuses the whole document; as in other readers of JSON, such a number is a double."""
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    if len(digits) > _MAX_DIGITS + 2:
        return float(digits)
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else float(number)
