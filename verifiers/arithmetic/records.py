"""Totals and shares in data: `{"items": [{"amount": 3}, {"amount": 4}], "total": 7}`.

Only names that mean one thing are judged. A `total` beside a page token counts what other pages hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from verifiers.arithmetic.cell import scalar
from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import is_alike
from verifiers.arithmetic.percents import whole_of
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import HUNDRED, Range, plain

_TOTALS = ("subtotal", "total", "totalamount", "grandtotal", "sum", "totalcost")
_AMOUNTS = ("amount", "linetotal", "subtotal", "total", "cost")
_EXTRAS = ("tax", "vat", "shipping", "fee", "fees", "tip", "discount", "taxamount", "shippingcost")
_PAGED = re.compile(
    r"page|limit|offset|cursor|^next|hasmore|truncated|filtered|adjust|credit|rounding|balance|paid|deposit"
)
_SHARES = frozenset(("shares", "breakdown", "distribution", "split", "allocation", "composition"))
_ITEMS = 10_000
_MEMBERS = 100


def records(value: object) -> Iterator[tuple[str, Claim]]:
    """Judges one object of the document; gives the claims with the name of the member that states them."""
    if not isinstance(value, Mapping) or len(value) > _ITEMS:
        return
    names = {_plain(str(name)): str(name) for name in value}
    if not any(_PAGED.search(name) for name in names):
        yield from _totals(value, names)
    for plain_name, name in names.items():
        if plain_name in _SHARES and isinstance(value[name], Mapping):
            yield from ((name, found) for found in _shares(value[name]))


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _totals(value: Mapping[str, object], names: Mapping[str, str]) -> Iterator[tuple[str, Claim]]:
    """The first total that is stated is of the items; a later one may have extras on top."""
    lists = [member for member in value.values() if isinstance(member, list) and 2 <= len(member) <= _ITEMS]
    stated = [(names[name], total) for name in _TOTALS if name in names and (total := scalar(value[names[name]]))]
    if len(lists) != 1 or not stated:
        return
    extras = [extra for name in _EXTRAS if name in names and (extra := scalar(value[names[name]]))]
    for name, total in stated:
        ways = _ways(lists[0])
        if ways and total.value != len(lists[0]):
            yield name, _judged(ways, extras if _plain(name) != "subtotal" else [], total)


def _ways(items: list[object]) -> list[Range]:
    """What the items add up to: their amounts, and where they have quantities, quantity times amount."""
    rows = [
        {_plain(str(key)): item[key] for key in list(item)[:_MEMBERS]} for item in items if isinstance(item, Mapping)
    ]
    columns = {name: _column(rows, name) for name in _AMOUNTS}
    counts = _column(rows, "quantity") or _column(rows, "qty")
    ways: list[Range] = []
    for amounts in columns.values():
        if len(amounts) == len(items) and is_alike(amounts):
            ways += [_added([amount.given() for amount in amounts]), *_multiplied(counts, amounts)]
    return ways


def _multiplied(counts: list[Quantity], amounts: list[Quantity]) -> list[Range]:
    if len(counts) != len(amounts):
        return []
    return [_added([count.given() * amount.given() for count, amount in zip(counts, amounts, strict=True)])]


def _column(rows: list[dict[str, object]], name: str) -> list[Quantity]:
    """What all rows have under this name; empty as soon as one has no number there."""
    read = [scalar(row.get(name)) for row in rows] if rows and name in rows[0] else []
    known = [quantity for quantity in read if quantity is not None]
    return known if len(known) == len(rows) else []


def _added(parts: list[Range]) -> Range:
    made = Range.around(Decimal(0))
    for part in parts:
        made += part
    return made


def _judged(ways: list[Range], extras: list[Quantity], total: Quantity) -> Claim:
    """Extras are on top, off, or inside already: any of these makes the total right."""
    sizes = [Range.around(abs(extra.value), extra.stated().high - extra.value) for extra in extras][:4]
    sums = list(ways)
    for size in sizes:
        sums += [made + size for made in sums] + [made - size for made in sums]
    is_held = any(made.meets(total.stated()) for made in sums)
    return claim("sum-wrong", is_held, total.text, plain(ways[0].middle))


def _shares(value: Mapping[str, object]) -> Iterator[Claim]:
    """Three shares or more, in percent or in parts of one, that come near a whole: others are something else."""
    shares = [share for member in value.values() if (share := scalar(member))]
    if len(shares) < 3 or len(shares) != len(value) or not is_alike(shares) or shares[0].unit not in ("", "%"):
        return
    added = sum((share.value for share in shares), Decimal(0))
    if Decimal(80) <= added <= Decimal(120):
        yield from whole_of(shares)
    elif Decimal("0.8") <= added <= Decimal("1.2") and all(share.value >= 0 for share in shares):
        yield from whole_of([_in_percent(share) for share in shares])


def _in_percent(share: Quantity) -> Quantity:
    return Quantity(share.value * HUNDRED, share.step * HUNDRED, "%", is_exact=False, text=share.text)
