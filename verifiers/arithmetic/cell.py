"""What one cell of a table, or one value of a record, says when it is a number and nothing else."""

from __future__ import annotations

import re
from decimal import Decimal

from verifiers.arithmetic.quantity import Quantity, number, step_of

_CELL = re.compile(
    r"(?P<minus>[-\u2212])?(?P<currency>[$€£¥₹])?(?P<digits>\d{1,3}(?:[,\u00a0\u202f]\d{3}){1,4}(?:\.\d{1,9})?"
    r"|\d{1,15}(?:\.\d{1,9})?)"
    r"\s?(?P<unit>%|[a-zA-Z°²]{1,6}|[€£$])?"
)
_FLOAT_DIGITS = 9
"""Decimals that a binary float is trusted with."""


def cell(text: str) -> Quantity | None:
    stripped = text.strip(" *_`")
    found = _CELL.fullmatch(stripped)
    if found is None:
        return None
    step = step_of(found["digits"])
    value = number(found["digits"]) * (-1 if found["minus"] else 1)
    unit = found["unit"] or found["currency"] or ""
    return Quantity(value, step, unit, is_exact=step == 1 and unit in ("", "$", "€", "£", "¥", "₹"), text=stripped)


def scalar(value: object) -> Quantity | None:
    """A JSON number, or a string that is one. NaN, infinities and numbers past 15 digits are not judged."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return _binary(value)
    return cell(value) if isinstance(value, str) and len(value) <= 40 else None


def _whole(value: int) -> Quantity | None:
    return Quantity(Decimal(value), text=str(value)) if abs(value) < 10**15 else None


def _binary(value: float) -> Quantity | None:
    if not abs(value) < 1e15:
        return None
    rounded = round(Decimal(repr(value)), _FLOAT_DIGITS).normalize()
    exponent = int(rounded.as_tuple().exponent)
    return Quantity(rounded, Decimal(1).scaleb(min(exponent, 0)), is_exact=exponent >= 0, text=repr(value))
