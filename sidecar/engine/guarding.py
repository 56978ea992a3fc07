"""Guarding: which sidecar keeps the shared state of an exchange that passes two.

Claims, charges, loops and tasks are kept once, at the callee's sidecar; the caller's keeps them only where no sidecar
answers for the callee. The callee's says so in a trailer of each answer, which is taken off before our agent sees it.
Until the first answer both may keep them, which does no harm: every verb counts an exchange once, by its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sidecar.engine.exchange import Exchange, Guarding, Route, Side

GUARDED_KEY: Final = "sidecar-guarded"
"""Trailer by which the callee's sidecar tells the caller's that it keeps the shared state. No agent sees it."""

SEEN, UNSEEN = "1", "unseen"
"""Its values: whether the callee can have seen a request of this exchange. Any other is read like the first.

An answer from the record bears the second in its headers, too: whoever reads it knows before its first message.
"""

SPENT_KEY: Final = "sidecar-spent-micro-usd"
"""Trailer by which it tells what was spent of the remainder that the caller's handed down. No agent sees it."""

SPENT_MAX_DIGITS: Final = 15


def spent_in(trailers: Iterable[tuple[str, str | bytes]]) -> int | None:
    """What the callee's sidecar says was spent; None where it says nothing that could be true."""
    said = next((value for key, value in trailers if key == SPENT_KEY), "")
    is_amount = isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= SPENT_MAX_DIGITS
    return int(said) if is_amount else None


class Guards:
    """Which upstreams have a sidecar of their own, as far as their last answer told."""

    def __init__(self) -> None:
        self._guarded_there: set[str] = set()
        """Names of outbound routes, so bounded by the configuration."""

    def are_here(self, route: Route) -> bool:
        if route.guarding is not Guarding.AUTO:
            return route.guarding is Guarding.ALWAYS
        return route.side is Side.INBOUND or route.name not in self._guarded_there

    def heard(self, route: Route, is_guarded_there: bool) -> None:
        """An answer came. A sidecar may come to a callee, and leave it, while we run."""
        if is_guarded_there:
            self._guarded_there.add(route.name)
        else:
            self._guarded_there.discard(route.name)


def mark_of(exchange: Exchange) -> str:
    """What the callee's sidecar says of an exchange that it keeps."""
    return SEEN if exchange.has_passed_request else UNSEEN


def is_unseen(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether the callee's sidecar says, in headers or trailers, that its agent was not asked."""
    return (GUARDED_KEY, UNSEEN) in metadata


def tells_caller(exchange: Exchange) -> bool:
    """Whether the answer carries the mark: only towards a sidecar, which takes it off, and only if it is true."""
    return exchange.side is Side.INBOUND and exchange.lineage.was_seen_by_caller and exchange.is_guarded_here
