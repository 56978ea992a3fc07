"""Quantities and addresses: what people write, and the one value it means."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.units import (
    Address,
    BadValue,
    Transport,
    format_duration,
    format_size,
    parse_address,
    parse_duration,
    parse_size,
    parse_usd,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("7d", 604_800.0),
        ("1.5s", 1.5),
        ("0s", 0.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0.1s", 0.1),
        ("1m500ms", 60.5),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    """Units go from large to small and add up exactly."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "30 s", "30S", "-1s", "1s1h", "1s2s", "1e3s", "1us", "٣s", "9999999999999s", "1h 30m", ".5s"],
)
def test_a_duration_without_a_clear_unit_is_refused(text: str) -> None:
    """A bare number could be seconds or milliseconds, so it is never guessed."""
    with pytest.raises(BadValue, match="with its unit"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_formatted_duration_reads_back_the_same(milliseconds: int) -> None:
    """What we print is what an operator may write."""
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("64MiB", 64 << 20),
        ("1GB", 10**9),
        ("16KiB", 16 << 10),
        ("512B", 512),
        ("1.5GiB", 3 << 29),
        ("1 kB", 1000),
        ("0B", 0),
        ("2KB", 2000),
        ("3MB", 3 * 10**6),
        ("1GiB", 1 << 30),
    ],
)
def test_a_size_is_read_as_bytes(text: str, size_bytes: int) -> None:
    """An `i` means powers of 1024, none means powers of 1000."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "64", "64mib", "64Mib", "MiB", "-1B", "1.0001B", "0.5B", "1TiB", "1  kB", "1kiB"])
def test_a_size_without_a_clear_unit_is_refused(text: str) -> None:
    """Near misses such as `mib` are refused rather than guessed, and so are parts of a byte."""
    with pytest.raises(BadValue):
        parse_size(text)


@given(st.integers(min_value=0, max_value=10**12 - 1))
def test_a_formatted_size_reads_back_the_same(size_bytes: int) -> None:
    """What we print is what an operator may write."""
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("value", "exact"),
    [(2.0, "2"), (0.1, "0.1"), (0.000001, "0.000001"), ("99999999.999999", "99999999.999999"), (5, "5")],
)
def test_money_is_exact(value: object, exact: str) -> None:
    """A float of YAML keeps the digits that were written, because its shortest spelling is read."""
    assert parse_usd(value) == Decimal(exact)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_yaml_number_of_micro_usd_never_loses_one(micro_usd: int) -> None:
    """Up to the largest amount, going through a float changes nothing."""
    assert parse_usd(float(Decimal(micro_usd) / 1_000_000)) * 1_000_000 == micro_usd


@pytest.mark.parametrize(
    "value",
    [
        -1,
        0.0000001,
        100_000_001,
        float("nan"),
        float("inf"),
        True,
        None,
        "two",
        [],
        "1e999999999",
        "sNaN",
        Decimal("-0.1"),
    ],
)
def test_money_that_is_no_amount_is_refused(value: object) -> None:
    """Negative, finer than a micro-USD, too large, or no number at all."""
    with pytest.raises(BadValue, match="US dollars"):
        parse_usd(value)


def address(text: str, **options: object) -> Address:
    return parse_address(text, default_host="127.0.0.1", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("writer:50051", "writer:50051"),
        (":50051", "127.0.0.1:50051"),
        ("[::1]:50051", "[::1]:50051"),
        ("[0:0:0:0:0:0:0:1]:1", "[::1]:1"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("unix:///run/a.sock", "unix:/run/a.sock"),
        ("unix:a.sock", "unix:/base/a.sock"),
        ("unix-abstract:agent", "unix-abstract:agent"),
        ("my_service.ns.svc.:1", "my_service.ns.svc.:1"),
    ],
)
def test_an_address_becomes_what_grpc_dials(text: str, target: str) -> None:
    """One spelling comes out, whatever of the allowed ones went in."""
    parsed = address(text, base=Path("/base"))
    assert parsed.target == target
    assert str(parsed) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "::1:50051",
        "[::1]",
        "[nope]:1",
        "256.0.0.1:1",
        "1.2.3:1",
        "ho st:1",
        "-a:1",
        "dns:///host:1",
        "unix:",
        "unix-abstract:",
        f"unix:/{'a' * 107}",
        "unix:/a\0b",
        "host:٣",
        ".:1",
        f"{'a' * 64}:1",
        ":0",
        "[127.0.0.1]:1",
    ],
)
def test_an_address_that_cannot_be_dialled_is_refused(text: str) -> None:
    """Bad ports, unbracketed IPv6, schemes, and socket paths longer than the kernel takes."""
    with pytest.raises(BadValue):
        address(text)


def test_port_zero_is_for_listeners_only() -> None:
    """The system can choose a port to listen on; nobody can dial port 0."""
    assert address(":0", lowest_port=0).port == 0


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "localhost:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("[::]:1", "10.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix-abstract:/a", False),
        ("unix:/a", "127.0.0.1:1", False),
    ],
)
def test_addresses_overlap_when_both_cannot_be_bound(one: str, other: str, overlap: bool) -> None:
    """A wildcard takes the port on every interface; port 0 is another port each time."""
    first, second = address(one, lowest_port=0), address(other, lowest_port=0)
    assert first.overlaps(second) is second.overlaps(first) is overlap


def test_dialling_another_host_does_not_reach_our_wildcard_listener() -> None:
    """A callee may well use our port number on its own machine."""
    listen = address("0.0.0.0:50051")
    assert address("127.0.0.1:50051").reaches(listen)
    assert not address("writer:50051").reaches(listen)


def test_loopback_is_known_in_every_spelling() -> None:
    """Sockets in the file system never leave the machine either."""
    local = ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "unix:/a", "unix-abstract:a"]
    assert all(address(text).is_loopback for text in local)
    assert not any(address(text).is_loopback for text in ["0.0.0.0:1", "writer:1", "[::]:1", "10.0.0.1:1"])


def test_an_address_is_a_value() -> None:
    """Equal addresses are one key in a set."""
    assert len({address(":1"), address("127.0.0.1:1"), Address(Transport.TCP, "127.0.0.1", 1)}) == 1


@given(st.text(max_size=40))
def test_no_text_crashes_a_parser(text: str) -> None:
    """Whatever an operator types, the answer is a value or a BadValue."""
    for parse in (parse_duration, parse_size, parse_usd, address):
        try:
            parse(text)
        except BadValue as bad:
            assert bad.allowed
