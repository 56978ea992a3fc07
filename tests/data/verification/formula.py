"""How a figure of an answer follows from others: `30/1250`, `mean(3, 5)`, `days('2024-05-22', '2024-05-24') + 1`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_OPERATORS: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CONSTANTS = frozenset(map(Decimal, (1, 60, 100, 1000, 1_000_000)))
"""What nobody needs to state: both ends counted, minutes of an hour, parts of a hundred, a thousand and a million."""

Replaced = Mapping[str, str]
"""Terms that have become others, as they are written in the formula."""


@dataclass(frozen=True, slots=True)
class Formula:
    text: str

    @property
    def terms(self) -> frozenset[str]:
        """Figures, days (ISO 8601) and times of day from which it is worked out."""
        constants = (node for node in ast.walk(self._tree()) if isinstance(node, ast.Constant))
        written = (str(node.value) for node in constants)
        return frozenset(term for term in written if not is_figure(term) or Decimal(term) not in _CONSTANTS)

    def value(self, replaced: Replaced | None = None) -> Decimal:
        return _value(self._tree(), replaced or {})

    def _tree(self) -> ast.expr:
        return ast.parse(self.text, mode="eval").body


def is_figure(term: str) -> bool:
    return ":" not in term and "-" not in term


def days(first: str, last: str) -> Decimal:
    """Nights between two days of ISO 8601."""
    return Decimal((date.fromisoformat(last) - date.fromisoformat(first)).days)


def minutes(first: str, last: str) -> Decimal:
    """From one time of day to the next one that reads so."""
    start, end = (60 * int(time[:2]) + int(time[3:]) for time in (first, last))
    return Decimal((end - start) % 1440)


def _value(node: ast.expr, replaced: Replaced) -> Decimal:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, replaced), _value(node.right, replaced))
    if isinstance(node, ast.Constant):
        return Decimal(_term(node, replaced))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name), ast.dump(node)
    if node.func.id == "mean":
        return sum((_value(part, replaced) for part in node.args), Decimal(0)) / len(node.args)
    return {"days": days, "minutes": minutes}[node.func.id](*(_term(part, replaced) for part in node.args))


def _term(node: ast.expr, replaced: Replaced) -> str:
    assert isinstance(node, ast.Constant)
    return replaced.get(str(node.value), str(node.value))
