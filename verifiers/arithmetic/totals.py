"""Numbers under each other with a total below: Markdown tables, tab-separated tables and lists."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from verifiers.arithmetic.cell import cell
from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import is_alike
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import HUNDRED, plain

_TOTAL = re.compile(r"[\s*_`]*(?:grand |overall )?(?:total|sum|totals)[\s*_`]*:?[\s*_`]*", re.IGNORECASE)
_NESTED = re.compile(
    r"\b(?:sub-?total|of which|thereof|including|average|mean|median|min|max)\b|^\s*[-–↳]", re.IGNORECASE
)
_RATE = re.compile(
    r"\b(?:rate|average|avg|mean|median|ratio|score|rating|year|rank|index|unit|price|per|change|growth|yoy|id|no"
    r"|age|version|margin|cumulative"
    r"|running|balance|distinct|unique)\b|[#Δ]",
    re.IGNORECASE,
)
_RULE = re.compile(r"[\s|:-]+")
_ITEM = re.compile(
    r"\s*(?:[-*•+]|\d{1,3}[.)])\s+(?P<label>[^:\n]{1,80}?)\s*[*_]*(?::|–|—|\s-)[*_]*\s+(?P<value>[^:\n]{1,30})\s*"
)
_LAST = re.compile(r"\s*(?:[-*•+]\s+)?(?P<label>[^:\n]{1,30}?)\s*(?::|–|—|\s-)[*_]*\s*(?P<value>[^:\n]{1,30})\s*")
_BLANK = frozenset(("", "-", "–", "—", "n/a", "N/A"))


@dataclass(slots=True)
class Block:
    """The lines of one table or list, gathered while the text is read."""

    rows: list[list[str]] = field(default_factory=list)
    is_table: bool = True


def totals(text: str) -> Iterator[Claim]:
    for block in _blocks(text):
        yield from _table(block.rows) if block.is_table else _column(block.rows, 1)


def _blocks(text: str) -> Iterator[Block]:
    block = Block()
    for line in text.split("\n"):
        row, is_table = _row(line)
        if row is None and (not block.rows or not (block.is_table or line.strip())):
            continue
        if row is None or is_table != block.is_table:
            yield from _finished(block, line)
            block = Block([] if row is None else [row], is_table)
        else:
            block.rows.append(row)
    yield from _finished(block, "")


def _finished(block: Block, line: str) -> Iterator[Block]:
    """A total may follow its list without a bullet."""
    last = _LAST.fullmatch(line[:100]) if not block.is_table else None
    if last and _TOTAL.fullmatch(last["label"]):
        block.rows.append([last["label"], last["value"]])
    if len(block.rows) >= 3:
        yield block


def _row(line: str) -> tuple[list[str] | None, bool]:
    if ":" not in line and not any(mark in line for mark in "|\t–—-"):
        return None, False
    if "|" in line and line.strip().startswith("|"):
        return [part.strip() for part in line.strip().strip("|").split("|")], True
    if "\t" in line:
        return [part.strip() for part in line.strip().split("\t")], True
    item = _ITEM.fullmatch(line[:160])
    return ([item["label"], item["value"]] if item else None), False


def _table(rows: list[list[str]]) -> Iterator[Claim]:
    header, body = rows[0], [row for row in rows[1:] if not _RULE.fullmatch("|".join(row) or "|")]
    if any(cell(text) for text in header[1:]) or any(len(row) != len(header) for row in body):
        return
    for column, name in enumerate(header[1:], start=1):
        if not _RATE.search(name):
            yield from _column(body, column)


def _column(rows: list[list[str]], column: int) -> Iterator[Claim]:
    """The last row is the total of those above it, where it says so and each of them is one number."""
    *above, last = rows
    if not _TOTAL.fullmatch(last[0]) or any(_NESTED.search(row[0]) or _TOTAL.fullmatch(row[0]) for row in above):
        return
    texts = [row[column] for row in above if row[column] not in _BLANK]
    parts, total = [part for text in texts if (part := cell(text))], cell(last[column])
    if total is None or len(parts) < 2 or len(parts) != len(texts) or not is_alike([*parts, total]):
        return
    yield from total_of(parts, total)


def total_of(parts: list[Quantity], total: Quantity, rule: str = "total-row-wrong") -> Iterator[Claim]:
    made = parts[0].given()
    for part in parts[1:]:
        made += part.given()
    is_held = made.meets(total.stated())
    if is_held or not _may_be_other(parts, total):
        yield claim(rule, is_held, total.text, plain(made.middle))


def _may_be_other(parts: list[Quantity], total: Quantity) -> bool:
    """A figure between the smallest and the largest part may be an average; a total share may be of another whole."""
    if total.unit == "%" and total.value != HUNDRED:
        return True
    values = [part.value for part in parts]
    return min(values) <= total.value <= max(values)
