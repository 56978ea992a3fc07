"""Access: who calls, and what they may do.

The loopback interface is shared with the agent that is policed, so an address alone never allows a change: without a
credential one may look there at most. A change asks for a token, a client certificate, or the unix socket, whose folder
lets nobody else in. A wrong credential is refused even where none would have been needed.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Literal

from sidecar import bearer
from sidecar.admin.problem import Problem, Why
from sidecar.engine.ports import Clock

log = logging.getLogger(__name__)

HEADER: Final = "authorization"

FAILURES_MAX: Final = 10
"""Wrong credentials from one peer within the window that are answered one by one."""
WINDOW_S: Final = 60.0
PEERS_MAX: Final = 1024
"""Peers whose failures are counted; the one that failed least recently makes room."""

Transport = Literal["loopback", "network", "unix"]


class Role(IntEnum):
    """In order: each may do all that those before it may."""

    NONE = 0
    READ = 1
    OPERATE = 2

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Token:
    """One secret, and what it is good for."""

    name: str
    role: Role
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What client certificates are good for that the authority signed."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    """By the name in the certificate."""
    others: Role = Role.NONE
    """Of names that are not listed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    who: str
    """As the audit names them: `token ops`, `certificate planner`, `unix socket of uid 1000`, `loopback`."""
    role: Role
    has_credential: bool = True
    """Whether it proved who it is: those who did not have a queue of their own."""


@dataclass(slots=True)
class Tries:
    """The failures of one peer."""

    since_ns: int
    count: int = 0


class Access:
    """Decides who somebody is. Never logs what they said."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        tokens: Sequence[Token] = (),
        certificates: Certificates | None = None,
        without: Role = Role.READ,
        owner: str = "",
    ) -> None:
        """`without` a credential, on loopback, this is one's role. `owner` names who alone can reach the socket."""
        self.transport = transport
        self.tokens = tuple(tokens)
        """May be replaced while it serves."""
        self._clock = clock
        self._certificates = certificates
        self._without = without
        self._owner = owner
        self._tries: OrderedDict[str, Tries] = OrderedDict()

    def caller(self, metadata: Mapping[str, Any], peer: str, identity: str | None) -> Caller:
        """Who this is. Raises Problem where a credential is wrong, or needed and not there.

        `peer` as gRPC prints it; `identity` the name in a client certificate that was verified.
        """
        host = host_of(peer)
        presented = metadata.get(HEADER)
        if presented is not None:
            return self._by_token(presented, host)
        if self._certificates is not None and identity is not None:
            role = self._certificates.roles.get(identity, self._certificates.others)
            if role is Role.NONE:
                raise Problem(Why.FORBIDDEN, "this certificate stands for nobody here", {"role": role.label})
            return Caller(f"certificate {identity}", role)
        if self.transport == "unix":
            return Caller(self._owner, Role.OPERATE)
        if self.transport == "loopback" and self._without is not Role.NONE:
            return Caller("loopback", self._without, has_credential=False)
        raise Problem(Why.UNAUTHENTICATED, "a credential is needed: `authorization: Bearer TOKEN`")

    def require(self, caller: Caller, required: Role) -> None:
        """Raises Problem where the role does not allow it."""
        if caller.role < required:
            facts = {"role": caller.role.label, "required": required.label}
            hint = "" if caller.has_credential else "; without a credential one may only look"
            raise Problem(Why.FORBIDDEN, f"{caller.who} may {caller.role.label}, not {required.label}{hint}", facts)

    def _by_token(self, presented: object, host: str) -> Caller:
        """Whoever failed too often from another machine is not even compared; on this one others share the address."""
        if self.transport == "network":
            self._refuse_hammering(host)
        found, shown = None, bearer.shown_in(presented)
        for token in self.tokens:  # all of them, whichever fits, so that time tells nothing
            if bearer.is_same(shown, token.secret):
                found = token
        if found is not None:
            return Caller(f"token {found.name}", found.role)
        self._failed(host)
        self._refuse_hammering(host)
        raise Problem(Why.UNAUTHENTICATED, "this token is not known here")

    def _failed(self, host: str) -> None:
        now_ns = self._clock.monotonic_ns()
        tries = self._tries.setdefault(host, Tries(now_ns))
        if now_ns - tries.since_ns > WINDOW_S * 1e9:
            tries.since_ns, tries.count = now_ns, 0
        tries.count += 1
        self._tries.move_to_end(host)
        while len(self._tries) > PEERS_MAX:
            self._tries.popitem(last=False)
        if tries.count <= FAILURES_MAX:
            log.warning("admin: a wrong credential from %s", host)
        elif tries.count == FAILURES_MAX + 1:
            log.warning("admin: %s keeps trying; nothing more is said of it for %g s", host, WINDOW_S)

    def _refuse_hammering(self, host: str) -> None:
        tries = self._tries.get(host)
        if tries is None or tries.count <= FAILURES_MAX:
            return
        left_s = WINDOW_S - (self._clock.monotonic_ns() - tries.since_ns) / 1e9
        if left_s > 0:
            raise Problem(Why.TOO_MANY_FAILURES, "wrong credentials came too often", retry_delay_s=left_s)


def host_of(peer: str) -> str:
    """The peer without its port, which is another one for each connection."""
    return peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer
