"""Numbers, times and names as people read them.

Callers choose the names of methods and agents, so whatever came from a network loses what could steer a terminal.
"""

from __future__ import annotations

import datetime
import time

HIDDEN = "�"
"""Stands for a character that would not print."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def plain(text: str) -> str:
    """The text on one line, without control characters of any kind."""
    return text if text.isprintable() else "".join(char if char.isprintable() else HIDDEN for char in text)


def cut(text: str, width: int) -> str:
    """At most `width` characters; what is left out of the middle is told by dots."""
    text = plain(text)
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def method(name: str) -> str:
    """`SendMessage` of `/lf.a2a.v1.A2AService/SendMessage`: the rest seldom tells anything apart."""
    return plain(name.rpartition("/")[2] or name)


def usd(micro_usd: int) -> str:
    """`$1.50`, with as many decimals as it takes; `-` for nothing."""
    if not micro_usd:
        return "-"
    sign, micro_usd = ("-" if micro_usd < 0 else ""), abs(micro_usd)
    whole, rest = divmod(micro_usd, 1_000_000)
    decimals = f"{rest:06d}".rstrip("0")
    return f"{sign}${whole:,}.{decimals.ljust(2, '0')}"


def count(number: int) -> str:
    """`12,345`; `-` for nothing, so that what happened stands out."""
    return f"{number:,}" if number else "-"


def rate(per_s: float) -> str:
    """Calls a second to two figures: `0.25`, `3.1`, `120`."""
    if per_s <= 0:
        return "-"
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"


def share(part: int, whole: int) -> str:
    """`12 %`; `-` for none."""
    if not part or not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 1 else "<1 %"


def took(seconds: float) -> str:
    """A latency: `850 us`, `12 ms`, `1.4 s`, `3 m 20 s`; `-` where there is none."""
    if seconds <= 0:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.2g} s" if seconds < 9.95 else age(seconds)


def age(seconds: float) -> str:
    """A time that passed: `4 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`."""
    whole = int(max(seconds, 0.0))
    if whole < MINUTE_S:
        return f"{whole} s"
    for unit_s, name, lower_s, lower in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "m"),
        (MINUTE_S, "m", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // lower_s
            return f"{whole // unit_s} {name}" + (f" {rest} {lower}" if rest else "")
    raise AssertionError


def ago(unix_ms: int) -> str:
    """How long it is since then: `5 s ago`; `-` where it never was."""
    return f"{age(time.time() - unix_ms / 1000)} ago" if unix_ms else "-"


def ahead(unix_ms: int) -> str:
    """How long it is until then: `in 5 s`."""
    return f"in {age(unix_ms / 1000 - time.time())}"


def clock(unix_ms: int) -> str:
    """Local time of day to the millisecond: `14:03:07.123`."""
    moment = datetime.datetime.fromtimestamp(unix_ms / 1000).astimezone()
    return f"{moment:%H:%M:%S}.{unix_ms % 1000:03d}"


def moment(unix_ms: int) -> str:
    """Local date and time: `2026-11-26 14:03:07`."""
    return f"{datetime.datetime.fromtimestamp(unix_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}" if unix_ms else "-"
