"""Pieces of PromQL, and lengths of time that a factor can make shorter."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


@dataclass(frozen=True, slots=True)
class Time:
    """Every window, range, offset and `for` of the template, divided by `factor`."""

    factor: float = 1.0

    def __call__(self, length: str) -> str:
        """`10m` as it is at factor 1, `10s` at factor 60. A whole number of milliseconds, at least one."""
        return written(max(round(milliseconds(length) / self.factor), 1))

    def seconds(self, length: str) -> float:
        return milliseconds(self(length)) / 1000


def milliseconds(length: str) -> int:
    digits = length.rstrip("dhms")
    return int(digits) * UNITS_MS[length[len(digits) :]]


def written(total_ms: int) -> str:
    """In the largest unit that divides it, as Prometheus reads it."""
    unit = next(unit for unit, size_ms in UNITS_MS.items() if total_ms % size_ms == 0)
    return f"{total_ms // UNITS_MS[unit]}{unit}"


def number(value: float) -> str:
    """Without noise of binary fractions: 0.06, not 0.06000000000000005."""
    return f"{value:.10g}"


def rise(selector: str, window: str, known: str) -> str:
    """How much a counter rose within `window`, its first value included.

    A counter with labels that nobody can foresee begins to exist with its first event, and `increase` does not see that
    one. So of a series that was not there a window ago the whole value counts, if its sidecar was watched all the
    while (`known`, a recording) and the counter did not begin anew.
    """
    return (
        f"(\n"
        f"    {selector}\n"
        f"  unless\n"
        f"    {selector} offset {window}\n"
        f"  and\n"
        f"    resets({selector}[{window}]) == 0\n"
        f"  and on (job, instance)\n"
        f"    {known}\n"
        f")\n"
        f"or\n"
        f"  increase({selector}[{window}])"
    )


def summed(labels: str, expression: str) -> str:
    """`sum by` of an expression of one line or several."""
    by = f"sum by ({', '.join(labels.split())})"
    return f"{by} (\n{indented(expression)}\n)" if "\n" in expression else f"{by} ({expression})"


def indented(expression: str) -> str:
    return textwrap.indent(expression, "  ")
