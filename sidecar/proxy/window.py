"""How far ahead of its reader a sender may run on one stream, on either side of us.

Left alone, grpc lets this window grow with what it measures of the connection, on one machine to many megabytes a
stream. It is memory that a stalled reader makes us hold, so it is fixed.
"""

from __future__ import annotations

STREAM_WINDOW_BYTES = 1 << 20
"""Enough for 80 Mbit/s at a round trip of 100 ms."""

FIXED_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", STREAM_WINDOW_BYTES))
