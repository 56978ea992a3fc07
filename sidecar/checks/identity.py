"""The identity check: does whoever calls say that it is somebody else than its certificate proves?

The certificate has the last word on who the caller is, so nothing is gained by the claim and nothing is refused for it;
but a sidecar that signs as another, or a route that is used by another than it was made for, is worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sidecar.engine.exchange import UNKNOWN_CALLER, Exchange, Peer, Side
from sidecar.engine.finding import Finding, Severity


class IdentityCheck:
    """Compares names at the start of each inbound call that came with a client certificate."""

    name = "identity"
    fail: Literal["open", "closed"] = "open"

    def on_start(self, exchange: Exchange) -> Sequence[Finding] | None:
        peer = exchange.arrival.peer
        if peer.identity is None or exchange.side is not Side.INBOUND:
            return None
        claims = (("its lineage entry", exchange.lineage.caller), ("this route", exchange.route.caller))
        return [
            contradiction(peer, whose, claimed)
            for whose, claimed in claims
            if claimed and claimed != UNKNOWN_CALLER and not agrees(claimed, peer)
        ]


def agrees(claimed: str, peer: Peer) -> bool:
    """Where the configuration does not say which agent a certificate stands for, the last part of its name may."""
    if peer.agent is not None:
        return claimed in (peer.agent, peer.identity)
    identity = peer.identity or ""
    return claimed in (identity, identity.rpartition("/")[2], identity.partition(".")[0])


def contradiction(peer: Peer, whose: str, claimed: str) -> Finding:
    proved = f"{peer.identity} (agent {peer.agent})" if peer.agent else str(peer.identity)
    sentence = f"{whose} says that {claimed} calls, and the client certificate proves {proved}"
    return Finding(IdentityCheck.name, "caller", Severity.WARNING, sentence)
