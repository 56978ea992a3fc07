"""The tree: all sections under one root, and what only shows when they are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sidecar.config.checks import Budget, Idempotency, Loops, Prices, Quarantine, Tasks, Verifier
from sidecar.config.clashes import BadValues, Clash, refuse_repeated, repeated
from sidecar.config.describe import described
from sidecar.config.descriptor import Descriptor, read_descriptor
from sidecar.config.journal import Journal, Redaction, read_journal_section
from sidecar.config.lineage import Join, LineageSettings
from sidecar.config.pressure import Pressure
from sidecar.config.reporting import Admin, Log, Metrics, Tracing
from sidecar.config.route import Route, listen_clashes, place
from sidecar.config.section import Section
from sidecar.config.state_url import StateUrl, read_spool, read_store
from sidecar.config.tls import ClientTls
from sidecar.config.values import AgentName, CertificateName, ExistingPath, absent_if_false, entries, read_names
from sidecar.engine import exchange
from sidecar.engine.exchange import Mode, weakest
from sidecar.units import BadValue, seconds


class Drain(Section):
    """How the sidecar leaves."""

    timeout_s: Annotated[float, seconds("0s", "1h")] = Field(default=30.0, alias="timeout")
    """Seconds that open calls have to end after SIGTERM. Keep it below Kubernetes' terminationGracePeriodSeconds."""


class Config(Section):
    """The whole tree."""

    agent: AgentName
    """The agent that this sidecar stands beside."""
    mode: Mode = Mode.OBSERVE
    """observe watches and changes nothing; enforce may refuse. No route is stronger than this."""
    routes: Annotated[tuple[Route, ...], entries(low=1)]
    """The addresses that the sidecar listens on."""
    identities: Annotated[dict[CertificateName, AgentName], BeforeValidator(read_names)] = Field(default={})
    """Agents by the names in their client certificates. A certificate without an entry names its caller itself."""
    descriptors: Annotated[tuple[Annotated[Descriptor, BeforeValidator(read_descriptor)], ...], entries()] = ()
    """Where message types are learnt. None: payloads pass unread, unless they are JSON."""
    specs: Annotated[tuple[ExistingPath, ...], entries()] = ()
    """Files and folders with contracts."""
    verifiers: Annotated[tuple[Verifier, ...], entries()] = ()
    """Independent agents that judge what passes."""
    quarantine: Quarantine = Quarantine()
    """Edges that are held back because of a late fail."""
    store: Annotated[StateUrl, BeforeValidator(read_store)] = StateUrl("memory", "memory://")
    """Where counters, claims and names are kept."""
    store_tls: ClientTls | None = None
    """TLS towards a `rediss://` store. Left out: the public authorities, and no certificate of ours."""
    journal: Annotated[Journal, BeforeValidator(read_journal_section)] | None = None
    """Where everything seen and decided is recorded. None: nowhere."""
    redaction: Redaction = Redaction()
    """What is masked before anything leaves the process."""
    join: Join = Join()
    """Joining calls that carry no trace context."""
    lineage: LineageSettings = LineageSettings()
    """The signed lineage entry."""
    metrics: Annotated[Metrics | None, BeforeValidator(absent_if_false)] = Metrics()
    """What Prometheus scrapes; `false` turns it off."""
    admin: Annotated[Admin | None, BeforeValidator(absent_if_false)] = Admin()
    """The service behind status, tail and top; `false` turns it off."""
    tracing: Tracing = Tracing()
    """Where spans go."""
    idempotency: Idempotency = Idempotency()
    """What is kept of calls that must not run twice."""
    loops: Annotated[Loops | None, BeforeValidator(absent_if_false)] = Loops()
    """When work is going round in circles; `false` turns it off."""
    tasks: Tasks = Tasks()
    """When a task counts as stuck."""
    budgets: Annotated[tuple[Budget, ...], entries()] = ()
    """Money that may be spent."""
    pressure: Pressure = Pressure()
    """How much is asked at once."""
    prices: Prices = Prices()
    """What models cost."""
    spool: Annotated[StateUrl, BeforeValidator(read_spool)] = StateUrl("memory", "memory://")
    """Where charges wait while the shared store is away."""
    log: Log = Log()
    """What is written to standard error."""
    drain: Drain = Drain()
    """How the sidecar leaves."""

    @field_validator("routes")
    @classmethod
    def _placed(cls, routes: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        """Fill in the names and compare the routes with our agent and with each other."""
        if (agent := info.data.get("agent")) is None:
            return routes  # the agent's own mistake is said; what depends on it is not
        placed, mistakes = place(routes, agent)
        mistakes += list(repeated([route.name for route in placed], "name"))
        mistakes += list(listen_clashes(routes))
        if mistakes:
            raise BadValues(mistakes)
        return tuple(placed)

    @field_validator("verifiers", "budgets")
    @classmethod
    def _unique(cls, entries: tuple[Verifier | Budget, ...]) -> tuple[Verifier | Budget, ...]:
        refuse_repeated([entry.name for entry in entries], "name")
        return entries

    @field_validator("store_tls")
    @classmethod
    def _for_a_store_with_tls(cls, store_tls: ClientTls | None, info: ValidationInfo) -> ClientTls | None:
        store = info.data.get("store")
        if store_tls is not None and store is not None and store.scheme != "rediss":
            raise BadValue("no store_tls, or a store at rediss://host:port/db", f"store_tls with {store}")
        return store_tls

    @model_validator(mode="after")
    def _own_addresses(self) -> Config:
        if mistakes := list(self._address_clashes()):
            raise BadValues(mistakes)
        return self

    def _address_clashes(self) -> Iterator[Clash]:
        """Metrics and admin need addresses that nothing else of ours has."""
        taken = {f"routes[{index}].listen": route.listen for index, route in enumerate(self.routes)}
        for name, section in (("metrics", self.metrics), ("admin", self.admin)):
            if section is None or (name == "admin" and "admin" not in self.model_fields_set):
                continue
            for other, address in taken.items():
                if section.listen.overlaps(address):
                    yield (name, "listen"), f"{section.listen}, the address of {other}", "an address of its own"
            taken[f"{name}.listen"] = section.listen

    def mode_of(self, route: Route) -> Mode:
        """What holds on a route: the weaker of the root's mode and the route's own."""
        return weakest(self.mode, route.mode)

    def engine_route(self, route: Route) -> exchange.Route:
        """What the engine needs to know of a route."""
        mode = self.mode_of(route)
        return exchange.Route(route.name, route.side, route.caller, route.callee, mode, route.guards)

    def describe(self) -> list[str]:
        """What will run, for `sidecar check` and the start, in 80 columns where names and addresses let it."""
        return described(self)
