"""A route: one listening address, its upstream, what it may hold, and the agents on both sides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from sidecar.config.clashes import Clash
from sidecar.config.section import Section
from sidecar.config.tls import ListenTls, UpstreamTls
from sidecar.config.values import AgentName, Flag, HostName, ListenAddress, PlainName, UpstreamAddress
from sidecar.engine.exchange import UNKNOWN_CALLER, Guarding, Mode, Side
from sidecar.units import BadValue, count, seconds, size

CompressionName = Literal["identity", "gzip", "deflate"]


class Compression(Section):
    """How we compress messages, per direction. grpc hides how a caller compressed them, so it is said here."""

    upstream: CompressionName = "identity"
    """Requests, on their way to the upstream."""
    downstream: CompressionName = "identity"
    """Responses, on their way to the caller (used if the caller says that it can read it)."""


class Limits(Section):
    """What one route may hold."""

    message_bytes: Annotated[int, size("1KiB", "1GiB")] = Field(default=64 << 20, alias="message")
    """Largest message, each way. A larger one ends its call with RESOURCE_EXHAUSTED, as grpc itself does."""
    buffered_total_bytes: Annotated[int, size("1KiB", "64GiB")] = Field(default=512 << 20, alias="buffered_total")
    """Bytes read and not yet passed on, over all calls. Above it streams wait, which is back-pressure."""
    streams: Annotated[int, count(1, 100_000)] = 1000
    """Calls open at once. One more is refused at once."""
    metadata_bytes: Annotated[int, size("1KiB", "1MiB")] = Field(default=16 << 10, alias="metadata")
    """Headers or trailers of one call."""

    @model_validator(mode="after")
    def _room_for_one(self) -> Limits:
        if self.buffered_total_bytes < self.message_bytes:
            raise BadValue("buffered_total of at least one message", "buffered_total below message")
        return self


class RouteLineage(Section):
    """The lineage entry on one route."""

    attach: Flag = True
    """Whether calls from our agent carry our lineage entry. Turn it off towards strangers; inbound it means nothing."""


class Route(Section):
    """One listening address, its upstream, and the agents on both sides. Exactly one of them is ours."""

    name: PlainName = ""
    """Label of the route in logs and spans. Left out: `inbound`, or `to-` and the callee."""
    listen: ListenAddress
    """Where callers connect. `:port` is all interfaces; port 0 lets the system choose one."""
    upstream: UpstreamAddress
    """Where calls go. `:port` is 127.0.0.1."""
    caller: AgentName = ""
    """The agent that calls. Inbound, left out: whatever mTLS or lineage proves, else `_unknown`."""
    callee: AgentName = ""
    """The agent that is called. Left out together with `caller`: our agent, so the route is inbound."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's. The weaker of the two holds."""
    deadline_s: Annotated[float, seconds("1ms", "7d")] | None = Field(default=None, alias="deadline")
    """Seconds given to calls that carry no deadline, where the route enforces. Left out: none is added."""
    guards: Guarding = Guarding.AUTO
    """Where shared state is kept: auto (inbound, and outbound while the callee has no sidecar), always or never."""
    listen_tls: ListenTls | None = None
    """TLS towards callers. Left out: plain text."""
    upstream_tls: UpstreamTls | None = None
    """TLS towards the upstream. Left out: plain text."""
    compression: Compression = Compression()
    """How messages are compressed."""
    authority: HostName | None = None
    """`:authority` sent upstream. Left out: the upstream's address."""
    channels: Annotated[int, count(1, 64)] = 2
    """Connections to the upstream. More than one, because one bad header can spoil a connection in grpc."""
    connect_timeout_s: Annotated[float, seconds("10ms", "5m")] = Field(default=5.0, alias="connect_timeout")
    """Seconds a call waits for a connection before it is told that the upstream is unreachable."""
    limits: Limits = Limits()
    """What the route may hold."""
    lineage: RouteLineage = RouteLineage()
    """The lineage entry on this route."""

    _side: Side = PrivateAttr(Side.INBOUND)

    @property
    def side(self) -> Side:
        """Inbound where our agent is the callee, outbound where it is the caller."""
        return self._side

    def placed(self, agent: str) -> Route:
        """The route with all names filled in. BadValue where our agent is not on exactly one side."""
        callee = self.callee or ("" if self.caller else agent)
        if (self.caller == agent) == (callee == agent):
            raise BadValue(f"our agent {agent!r} as caller or as callee, not both", self._said_sides())
        if not callee:
            raise BadValue(f"a callee, since {agent!r} is the caller", "no callee")
        side = Side.INBOUND if callee == agent else Side.OUTBOUND
        name = self.name or ("inbound" if side is Side.INBOUND else f"to-{re.sub('[^A-Za-z0-9._-]', '-', callee)}"[:64])
        route = self.model_copy(update={"name": name, "caller": self.caller or UNKNOWN_CALLER, "callee": callee})
        route._side = side
        return route

    def _said_sides(self) -> str:
        return f"caller {self.caller or 'left out'}, callee {self.callee or 'left out'}"


def place(routes: Iterable[Route], agent: str) -> tuple[list[Route], list[Clash]]:
    """The routes with their names filled in, and what is wrong with those that cannot have them."""
    placed: list[Route] = []
    mistakes: list[Clash] = []
    for index, route in enumerate(routes):
        try:
            placed.append(route.placed(agent))
        except BadValue as bad:
            mistakes.append(((index,), bad.found or "", bad.allowed))
            placed.append(route.model_copy(update={"name": route.name or f"routes[{index}]"}))
    return placed, mistakes


def listen_clashes(routes: Sequence[Route]) -> Iterator[Clash]:
    """Two routes on one address, and a route that would call itself for ever."""
    for index, route in enumerate(routes):
        for earlier in range(index):
            if route.listen.overlaps(routes[earlier].listen):
                yield (index, "listen"), f"{route.listen}, which routes[{earlier}] listens on", "another address"
        if route.upstream.reaches(route.listen):
            yield (index, "upstream"), f"{route.upstream}, the route's own listener", "the address of the agent"
