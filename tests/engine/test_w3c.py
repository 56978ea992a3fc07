"""W3C Trace Context and Baggage: each rule that a participant must keep, as headers in and headers out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine import w3c

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"
OURS = f"00-{TRACE}-1111111111111111-03"
DROPPED = "sidecar-lineage-bin"


def restamped(*metadata: tuple[str, str | bytes]) -> list[tuple[str, str | bytes]]:
    """What a call with `metadata` looks like after us, with its own tracestate carried on."""
    context = w3c.read(metadata)
    return w3c.restamped(metadata, OURS, context.tracestate if context else (), DROPPED)


def test_valid_traceparent_is_read_field_by_field():
    """The flags are bits: 01 says sampled and leaves the rest unset."""
    assert w3c.parse_traceparent(VALID) == w3c.TraceContext(TRACE, SPAN, is_sampled=True, is_random=False)


@pytest.mark.parametrize(
    ("flags", "is_sampled", "is_random", "sent"),
    [
        ("00", False, False, "00"),
        ("01", True, False, "01"),
        ("02", False, True, "02"),
        ("03", True, True, "03"),
        ("ff", True, True, "03"),
        ("f8", False, False, "00"),
        ("09", True, False, "01"),
    ],
)
def test_flags_are_bits_and_unknown_ones_are_sent_as_zero(flags: str, is_sampled: bool, is_random: bool, sent: str):
    """Nobody knows yet what the other six bits will mean, so we must not claim them."""
    context = w3c.parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert context is not None
    assert (context.is_sampled, context.is_random) == (is_sampled, is_random)
    assert w3c.format_traceparent(*context[:4]).endswith(f"-{sent}")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-.0",
        f"0x-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}.-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
    ],
)
def test_malformed_traceparent_is_invalid(value: str):
    """Every field has one length and one alphabet."""
    assert w3c.parse_traceparent(value) is None


@pytest.mark.parametrize("value", [f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN.upper()}-01", VALID[:-2] + "0A"])
def test_upper_case_is_invalid(value: str):
    """Level 1 and 2 both say lower case only, on the way in as well."""
    assert w3c.parse_traceparent(value) is None


@pytest.mark.parametrize("value", [f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"])
def test_all_zero_ids_are_invalid(value: str):
    """Zero means that there is no trace and no parent."""
    assert w3c.parse_traceparent(value) is None


@pytest.mark.parametrize("rest", ["-", "-what-the-future-holds", ".", "x"])
def test_version_00_with_more_text_is_invalid(rest: str):
    """This version is known, and it ends after the flags."""
    assert w3c.parse_traceparent(VALID + rest) is None


def test_version_ff_is_invalid():
    """It is reserved so that it can never be a version."""
    assert w3c.parse_traceparent(f"ff-{TRACE}-{SPAN}-01") is None


@pytest.mark.parametrize("rest", ["", "-", "-what-the-future-holds", "-" + "x" * 5000])
def test_higher_version_is_read_by_its_first_55_characters(rest: str):
    """A newer caller still gets its trace continued, in the version that we know."""
    context = w3c.parse_traceparent(f"cc-{TRACE}-{SPAN}-01{rest}")
    assert context is not None
    assert w3c.format_traceparent(*context[:4]) == VALID


@pytest.mark.parametrize("rest", [".", "x", "0-"])
def test_higher_version_without_a_dash_after_the_flags_is_invalid(rest: str):
    """Otherwise the flags would be longer than we think."""
    assert w3c.parse_traceparent(f"cc-{TRACE}-{SPAN}-01{rest}") is None


def test_white_space_around_traceparent_is_no_part_of_it():
    """HTTP strips it from header values; gRPC does not."""
    assert w3c.parse_traceparent(f"\t {VALID} ") == w3c.parse_traceparent(VALID)


def test_two_traceparents_are_as_good_as_none():
    """Nobody can say which one holds, so a new trace begins."""
    assert w3c.read([("traceparent", VALID), ("traceparent", VALID)]) is None


def test_tracestate_without_traceparent_is_discarded():
    """Its entries belong to a trace that is not there."""
    assert restamped(("tracestate", "a=1")) == [("traceparent", OURS)]


def test_tracestate_of_an_invalid_traceparent_is_discarded():
    """A new trace begins, and the state of the old one would lie about it."""
    assert restamped(("traceparent", VALID + "-x"), ("tracestate", "a=1")) == [("traceparent", OURS)]


def test_trace_context_is_replaced_where_it_stood():
    """Order is the caller's business, and nothing else is touched."""
    metadata = (("a", "1"), ("traceparent", VALID), ("b-bin", b"\x00"), ("tracestate", "x=1"), ("a", "2"))
    expected = [("a", "1"), ("traceparent", OURS), ("b-bin", b"\x00"), ("tracestate", "x=1"), ("a", "2")]
    assert restamped(*metadata) == expected


def test_lineage_entry_is_left_out():
    """It is for sidecars only."""
    assert restamped(("traceparent", VALID), (DROPPED, b"x"), ("a", "1")) == [("traceparent", OURS), ("a", "1")]


@pytest.mark.parametrize(
    "entries",
    [
        ["foo=1"],
        ["foo=1,bar=2"],
        ["foo=1", "bar=2", "baz=3"],
        ["foo=1 ,  bar=2"],
        ["foo=1,,bar=2,"],
        ["", "foo=1"],
        ["foo=1,foo=1"],
        ["foo@=1,bar@vendor=2,0tenant/*-_=3"],
        ["a" * 256 + "=" + "v" * 256],
        ["foo= leading space is content"],
        ["foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"],
        [",".join(f"k{number}=1" for number in range(32))],
        [",".join(f"k{number}=" + "v" * 256 for number in range(32))],
    ],
)
def test_valid_tracestate_is_forwarded_as_it_came(entries: list[str]):
    """Raw, entry by entry and in order: members of others, double keys and long values are not ours to judge."""
    metadata = [("traceparent", VALID), *(("tracestate", entry) for entry in entries)]
    assert restamped(*metadata) == [("traceparent", OURS), *(("tracestate", entry) for entry in entries)]


@pytest.mark.parametrize(
    "entries",
    [
        ["foo"],
        ["foo="],
        ["=1"],
        ["foo =1"],
        ["Foo=1"],
        ["foo.bar=1"],
        ["_foo=1"],
        ["foo=a=b"],
        ["a" * 257 + "=1"],
        ["foo=" + "v" * 257],
        ["foo=naïve"],
        ["foo=1", "bar"],
        [",".join(f"k{number}=1" for number in range(33))],
        [f"k{number}=1" for number in range(33)],
        ["", " , "],
    ],
)
def test_invalid_tracestate_is_dropped_whole_and_leaves_traceparent_alone(entries: list[str]):
    """A list that we cannot read may not be half forwarded; the trace itself goes on."""
    metadata = [("traceparent", VALID), *(("tracestate", entry) for entry in entries)]
    context = w3c.read(metadata)
    assert context == w3c.parse_traceparent(VALID)
    assert restamped(*metadata) == [("traceparent", OURS)]


def test_tabs_between_members_become_spaces():
    """Both grammars allow them, and gRPC refuses to send them."""
    metadata = [("traceparent", VALID), ("tracestate", "a=1\t,\tb=2"), ("baggage", "k=v\t;p,\tq=1")]
    expected = [("traceparent", OURS), ("tracestate", "a=1 , b=2"), ("baggage", "k=v ;p, q=1")]
    assert restamped(*metadata) == expected


@pytest.mark.parametrize(
    "entries",
    [
        ["k=v"],
        ["k1=v1;p1;p2=x, k2=v2", "k1=again"],
        ["not even a member"],
        [",".join(f"k{number}=v" for number in range(64))],
        ["k=" + "v" * 8190],
        ["k=" + "v" * 4093, "j=" + "v" * 4094],
    ],
)
def test_baggage_within_its_limits_is_forwarded_as_it_came(entries: list[str]):
    """64 members and 8192 bytes must be carried, properties, double keys and all."""
    metadata = [("baggage", entry) for entry in entries]
    assert restamped(*metadata) == [*metadata, ("traceparent", OURS)]


@pytest.mark.parametrize(
    ("entries", "kept"),
    [
        ([",".join(f"k{number}=v" for number in range(65))], [",".join(f"k{number}=v" for number in range(64))]),
        ([f"k{number}=v" for number in range(65)], [f"k{number}=v" for number in range(64)]),
        (["a=1,k=" + "v" * 8187], ["a=1"]),
        (["a=1", "k=" + "v" * 8187, "b=2"], ["a=1"]),
        (["k=" + "v" * 8191], []),
    ],
)
def test_baggage_over_its_limits_loses_whole_members_from_the_right(entries: list[str], kept: list[str]):
    """Half a member would be another member."""
    metadata = [("baggage", entry) for entry in entries]
    assert restamped(*metadata) == [*(("baggage", entry) for entry in kept), ("traceparent", OURS)]


ids = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0"))


@given(ids, ids, ids, st.booleans(), st.booleans())
def test_what_we_format_we_can_parse(left: str, right: str, span_id: str, is_sampled: bool, is_random: bool):
    """Two sidecars in a row must agree."""
    context = w3c.TraceContext(left + right, span_id, is_sampled, is_random)
    assert w3c.parse_traceparent(w3c.format_traceparent(*context[:4])) == context


near_valid = st.text("0123456789abcdefABCDEF- \t\n,=", max_size=70)
values = st.one_of(st.text(), st.binary(), near_valid, near_valid.map(lambda text: VALID + text))
keys = st.sampled_from(["traceparent", "tracestate", "baggage", "other"])


@given(st.lists(st.tuples(keys, values), max_size=8))
def test_no_header_whatsoever_crashes_the_reader(metadata: list[tuple[str, str | bytes]]):
    """Metadata is a stranger's. What we forward still has exactly one traceparent, and it is ours."""
    stamped = restamped(*metadata)
    assert [value for key, value in stamped if key == "traceparent"] == [OURS]
    assert [value for key, value in stamped if key == "other"] == [value for key, value in metadata if key == "other"]
