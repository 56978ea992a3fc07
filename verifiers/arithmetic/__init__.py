"""Arithmetic: do the figures of an answer follow from each other?

A *quantity* is a number with its unit and the precision that it is stated with. A *claim* is a statement that can be
computed again from quantities beside it: a sum, a product, what is left, an average, a share, a change, a conversion, a
weekday, a duration, an equation. A claim holds where the numbers, each rounded as stated, can be true together. What
can be read in two ways is no claim.
"""

from __future__ import annotations

from verifiers.arithmetic.judging import judge
from verifiers.base import Description

DESCRIPTION = Description(
    name="arithmetic",
    version="1.1.0",
    sees=(
        "Sums and totals in prose, lists, tables and data, and what a figure is said to be made of.",
        "So many at so much, what is left of a figure, and averages.",
        "Percentages, shares of a whole, changes from one figure to another, multiples and differences.",
        "One measure stated in two units.",
        "Weekdays of dates, durations between dates, times or years, ages.",
        "Equations that are written out.",
    ),
    blind_to=(
        "Whether a figure is true: wrong figures that follow from each other pass.",
        "Figures more than one sentence apart, and most that stand in different sentences.",
        "Relations that no word or sign states.",
        "Prose in other languages than English.",
        "Statements that can be read in two ways, and currencies.",
    ),
)

__all__ = ["DESCRIPTION", "judge"]
