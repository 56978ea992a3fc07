"""Quantities that people write with their unit, and addresses: text in, one exact value out.

Every function is pure and raises `BadValue`, which says what is allowed. A number without its unit is a mistake: `30`
could be seconds or milliseconds, and the two are a thousand apart.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from pydantic import BeforeValidator

Number = TypeVar("Number", int, float)

DURATION_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
SIZE_UNITS_BYTES = {
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "GB": 1_000_000_000,
    "MB": 1_000_000,
    "kB": 1_000,
    "KB": 1_000,
    "B": 1,
}
MICRO_USD = 1_000_000
"""Micro-USD in one US dollar. Money is counted in whole micro-USD, so that sums are exact."""

MAX_USD = 100_000_000
"""Fifteen digits with six decimals: what a YAML number carries exactly."""

UNIX_PATH_BYTES = 107
"""Longest path of a unix socket on Linux: `sun_path` is 108 bytes with its closing zero (unix(7))."""

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in DURATION_UNITS_MS))
_SIZE = re.compile(rf"{_NUMBER} ?({'|'.join(SIZE_UNITS_BYTES)})")
_RATE = re.compile(rf"{_NUMBER}/([smh])")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMERIC_HOST = re.compile(r"[0-9.]+")

DURATION_FORM = "a number with its unit: 500ms, 30s, 10m, 1h30m, 7d"
SIZE_FORM = "a number with its unit: 512B, 16KiB, 64MiB, 1GB"
MIN_PER_S = 1 / 3600
MAX_PER_S = 10_000
RATE_FORM = "a number per second, minute or hour: 50/s, 600/m, 10/h; from 1/h to 10000/s"
ADDRESS_FORM = "host:port, :port, [ipv6]:port, unix:/path or unix-abstract:name"


class BadValue(ValueError):
    """A value that is not allowed, with what is; `found` stands in for the value where that may not be shown."""

    def __init__(self, allowed: str, found: str | None = None) -> None:
        self.allowed = allowed
        self.found = found
        super().__init__(allowed)


def parse_duration(text: str) -> float:
    """Seconds in `1h30m`: units from large to small, each at most once."""
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        raise BadValue(DURATION_FORM)
    parts = zip(match.groups(), DURATION_UNITS_MS.values(), strict=True)
    return float(sum(Decimal(number) * unit_ms for number, unit_ms in parts if number is not None) / 1000)


def format_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back, to the millisecond: 5400.0 is `1h30m`."""
    rest_ms = round(seconds * 1000)
    text = ""
    for unit, unit_ms in DURATION_UNITS_MS.items():
        count, rest_ms = divmod(rest_ms, unit_ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Bytes in `64MiB`. Powers of 1024 have an `i` (IEC 80000-13); those without are powers of 1000."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise BadValue(SIZE_FORM)
    size_bytes = Decimal(match[1]) * SIZE_UNITS_BYTES[match[2]]
    if size_bytes != int(size_bytes):
        raise BadValue("a whole number of bytes")
    return int(size_bytes)


def format_size(size_bytes: int) -> str:
    """The shortest exact spelling in powers of 1024: 67108864 is `64MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % SIZE_UNITS_BYTES[unit] == 0:
            return f"{size_bytes // SIZE_UNITS_BYTES[unit]}{unit}"
    return f"{size_bytes}B"


def parse_usd(value: object) -> Decimal:
    """US dollars, exact to the micro-USD. A YAML number keeps 15 digits, so its shortest spelling is as written."""
    allowed = f"US dollars from 0 to {MAX_USD}, at most six decimals: 2.00"
    try:
        amount = Decimal(str(value)) if is_number(value) or isinstance(value, str | Decimal) else Decimal("NaN")
    except InvalidOperation as error:
        raise BadValue(allowed) from error
    if not amount.is_finite() or not 0 <= amount <= MAX_USD or amount * MICRO_USD % 1:
        raise BadValue(allowed)
    return amount


def parse_rate(text: str) -> float:
    """Events a second in `50/s`, `600/m` or `10/h`."""
    match = _RATE.fullmatch(text)
    per_s = float(Decimal(match[1]) * 1000 / DURATION_UNITS_MS[match[2]]) if match else 0.0
    if not MIN_PER_S <= per_s <= MAX_PER_S:
        raise BadValue(RATE_FORM)
    return per_s


def is_number(value: object) -> TypeGuard[int | float]:
    """YAML's true is no number, although Python's is."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Transport(StrEnum):
    TCP = "tcp"
    UNIX = "unix"
    UNIX_ABSTRACT = "unix-abstract"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a socket listens or what is dialled."""

    transport: Transport
    host: str = ""
    """TCP only: a name or a numeric address, IPv6 without brackets."""
    port: int = 0
    path: str = ""
    """unix: the socket's absolute path; unix-abstract: its name."""

    @property
    def target(self) -> str:
        """As grpc spells it: `127.0.0.1:50051`, `[::1]:50051`, `unix:/run/a.sock`, `unix-abstract:a`."""
        if self.transport is not Transport.TCP:
            return f"{self.transport}:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.target

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.transport is not Transport.TCP or self.host == "::1" or _v4(self.host).startswith("127.")

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every interface. grpc binds both IP families for either spelling."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    def overlaps(self, other: Address) -> bool:
        """Whether both cannot be bound at once. Port 0 is another port each time."""
        if self.transport is not Transport.TCP or other.transport is not Transport.TCP:
            return (self.transport, self.path) == (other.transport, other.path)
        same_host = _v4(self.host) == _v4(other.host) or self.is_wildcard or other.is_wildcard
        return self.port == other.port != 0 and same_host

    def reaches(self, listen: Address) -> bool:
        """Whether dialling this address ends at a listener on `listen` of this machine."""
        return self.overlaps(listen) and (self.is_loopback or self.host == listen.host or self.is_wildcard)


def _v4(host: str) -> str:
    return "127.0.0.1" if host.lower() == "localhost" else host


def parse_address(text: str, *, default_host: str, lowest_port: int = 1, base: Path | None = None) -> Address:
    """An address. `:port` means `default_host`; a relative socket path is resolved against `base`.

    `lowest_port` is 0 where the system may choose a port.
    """
    for transport in (Transport.UNIX_ABSTRACT, Transport.UNIX):
        if text.startswith(f"{transport}:"):
            return _unix(transport, text.removeprefix(f"{transport}:"), base)
    if "://" in text:
        raise BadValue(f"{ADDRESS_FORM}, without {text.partition('://')[0]}://")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise BadValue(ADDRESS_FORM)
    return Address(Transport.TCP, parse_host(host) if host else default_host, parse_port(port, lowest_port))


def _unix(transport: Transport, name: str, base: Path | None) -> Address:
    if name.startswith("//"):
        name = name.removeprefix("//")  # unix:///path is grpc's other spelling of unix:/path
    if transport is Transport.UNIX and name and base is not None:
        name = str(base / name)
    if not 0 < len(name.encode()) <= UNIX_PATH_BYTES or "\0" in name:
        raise BadValue(f"a socket name of 1 to {UNIX_PATH_BYTES} bytes")
    return Address(transport, path=name)


def parse_host(text: str) -> str:
    """A numeric address or a name (letters, digits, hyphens, underscores). IPv6 must stand in brackets."""
    bracketed = text.startswith("[") and text.endswith("]")
    if bracketed or ":" in text:
        if not bracketed:
            raise BadValue("IPv6 addresses in brackets: [::1]:50051")
        return _numeric(text[1:-1], ipaddress.IPv6Address, "an IPv6 address in brackets: [::1]:50051")
    if _NUMERIC_HOST.fullmatch(text):
        return _numeric(text, ipaddress.IPv4Address, "four numbers from 0 to 255: 127.0.0.1:50051")
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise BadValue("a host name of letters, digits, hyphens and dots")
    return text


def _numeric(text: str, parse: Callable[[str], object], allowed: str) -> str:
    try:
        return str(parse(text))
    except ValueError as error:
        raise BadValue(allowed) from error


def parse_port(text: str, lowest: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not lowest <= int(text) <= 65535:
        raise BadValue(f"a port from {lowest} to 65535")
    return int(text)


def seconds(low: str, high: str) -> BeforeValidator:
    """A field type's check: a duration between the two, read as seconds."""
    low_s, high_s = parse_duration(low), parse_duration(high)

    def read(value: Any) -> float:
        return within(parse_duration(text_of(value, DURATION_FORM)), low_s, high_s, f"a duration from {low} to {high}")

    return BeforeValidator(read)


def size(low: str, high: str) -> BeforeValidator:
    """A field type's check: a size between the two, read as bytes."""
    low_bytes, high_bytes = parse_size(low), parse_size(high)

    def read(value: Any) -> int:
        return within(parse_size(text_of(value, SIZE_FORM)), low_bytes, high_bytes, f"a size from {low} to {high}")

    return BeforeValidator(read)


def count(low: int, high: int) -> BeforeValidator:
    """A field type's check: a whole number between the two."""

    def read(value: Any) -> int:
        allowed = f"a whole number from {low} to {high}"
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValue(allowed)
        return within(value, low, high, allowed)

    return BeforeValidator(read)


def ratio() -> BeforeValidator:
    """A field type's check: a share, 0 to 1."""

    def read(value: Any) -> float:
        allowed = "a number from 0 to 1"
        if not is_number(value):
            raise BadValue(allowed)
        return within(float(value), 0.0, 1.0, allowed)

    return BeforeValidator(read)


def matching(pattern: str, allowed: str) -> BeforeValidator:
    """A field type's check: text that the whole pattern fits."""
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise BadValue(allowed)
        return value

    return BeforeValidator(read)


def one_of(words: Sequence[str]) -> str:
    """`a, b or c`, for what is allowed."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def text_of(value: object, allowed: str) -> str:
    if not isinstance(value, str):
        raise BadValue(allowed)
    return value


def within(value: Number, low: Number, high: Number, allowed: str) -> Number:
    """The value if it is inside both bounds; NaN never is."""
    if not low <= value <= high:
        raise BadValue(allowed)
    return value
