"""Equations written out: "12 * 7 = 84". Parsed by precedence, computed in decimals, never evaluated as code."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.quantity import Quantity, number, step_of
from verifiers.arithmetic.range import plain

_NUMBER = r"[$€£]?(?:\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,9})?|\d{1,15}(?:\.\d{1,9})?)"
_OPERATOR = r"(?:\s?[*×·÷/]\s?|\s?\+\s?|\s[-\u2212–]\s|\s[xX]\s)"
_EQUATION = re.compile(
    rf"(?<![\w.,:/^+*×·÷=\[%$€£-])(?P<left>{_NUMBER}(?:{_OPERATOR}{_NUMBER}){{1,20}})\s?(?P<sign>=|≈|==)\s?"
    rf"(?P<minus>[-\u2212])?(?P<right>{_NUMBER})(?![\w%]|[.,:/^]\d|\s?[-+*×·÷/^=(%!]|\s(?:thousand|million"
    rf"|billion|x\s|r(?:em)?\b|remainder|R\d?\b|mod))"
)
_PIECE = re.compile(rf"(?P<number>{_NUMBER})|(?P<operator>[*×·÷/+xX\u2212–-])")
_ODD = re.compile(r"\b(?:mod|modulo|binary|hex\w*|octal|base|wrong|incorrect|false|if)\b|≠|!=", re.IGNORECASE)
_TIMES, _OVER, _MINUS = "*×·xX", "÷/", "-\u2212–"


def equations(line: str) -> Iterator[Claim]:
    """Takes one line of the answer as it is."""
    if "=" not in line and "≈" not in line:
        return
    for found in _EQUATION.finditer(line):
        around = line[max(0, found.start() - 80) : found.end() + 80]
        if not _is_open(line, found.start()) and not _ODD.search(around):
            yield from _judged(found)


def _is_open(line: str, start: int) -> bool:
    """Whether the expression goes on to the left, as in `n + 3 + 4 = 7` or `f = 2 * 3 = 6`."""
    before = line[max(0, start - 6) : start]
    return (
        re.search(r"[-+*×·÷/^=\[]\s*$", before) is not None
        and before.strip() != "-"
        and line[:start].strip() not in ("-", "*", "+")
    )


def _judged(found: re.Match[str]) -> Iterator[Claim]:
    made = _computed(found["left"])
    if made is None:
        return
    digits = found["right"].lstrip("$€£")
    value = number(digits) * (-1 if found["minus"] else 1)
    right = Quantity(value, step_of(digits), is_approximate=found["sign"] == "≈", text=found["right"])
    low, high = right.stated().low, right.stated().high
    is_held = low <= made <= high if made != made.to_integral_value() or right.is_approximate else made == value
    yield claim("equation-wrong", is_held, found["right"], plain(made))


def _computed(expression: str) -> Decimal | None:
    """Products before sums, from the left. None for a division by zero."""
    total, term, sign, operator = Decimal(0), Decimal(1), 1, "*"
    for piece in _PIECE.finditer(expression):
        if piece["operator"]:
            operator = piece["operator"]
            if operator == "+" or operator in _MINUS:
                total, term, sign = total + sign * term, Decimal(1), -1 if operator in _MINUS else 1
            continue
        value = number(piece["number"].lstrip("$€£"))
        if operator in _OVER and value == 0:
            return None
        term = term / value if operator in _OVER else term * value
    return total + sign * term
