"""Which metadata crosses."""

from __future__ import annotations

import pytest

from sidecar.proxy.metadata import carried


def test_what_the_caller_said_goes_on_in_order():
    """Repeated keys, binary values and unknown names are the application's."""
    said = (("a", "1"), ("b-bin", b"\x00\xff"), ("a", "2"), ("x-empty", ""))
    assert carried(said) == said


@pytest.mark.parametrize(
    "key", ["user-agent", "te", "content-type", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "host"]
)
def test_headers_of_one_connection_stay_behind(key: str):
    """Copied through they break calls, some only with Go or Node peers."""
    assert carried([(key, "x"), ("kept", "y")]) == (("kept", "y"),)


def test_status_details_travel_end_to_end():
    """The one grpc- key that is the application's own."""
    assert carried([("grpc-status-details-bin", b"\x08\x05")]) == (("grpc-status-details-bin", b"\x08\x05"),)


@pytest.mark.parametrize(
    "entry", [("k", "tab\there"), ("k", "é"), ("K", "upper"), ("k", b"bytes"), ("k-bin", "text"), ("", "x")]
)
def test_an_entry_grpc_cannot_send_is_left_out_alone(entry):
    """Sending it would fail the whole call; its neighbours must not suffer."""
    assert carried([("a", "1"), entry, ("b", "2")]) == (("a", "1"), ("b", "2"))


def test_no_metadata_is_nothing():
    """grpc hands over None where a side sent none."""
    assert carried(None) == ()
