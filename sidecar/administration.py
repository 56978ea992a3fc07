"""From the configuration's words to the admin service: who may come in, what it shows and what it looks at."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from sidecar import __version__
from sidecar.admin import (
    Access,
    AdminServer,
    AdminSettings,
    BudgetFacts,
    Certificates,
    Feed,
    Recent,
    RouteFacts,
    Scorecards,
    Token,
    VerifierFacts,
    World,
)
from sidecar.admin.access import Role, Transport
from sidecar.admin.ports import Replays
from sidecar.config import Admin, Config, Section
from sidecar.config.section import keyed_fields
from sidecar.config.values import redacted
from sidecar.engine.modes import Modes
from sidecar.engine.ports import Clock
from sidecar.engine.redaction import Redactor
from sidecar.following import Following
from sidecar.line_up import LineUp
from sidecar.proxy.passage import identity_of
from sidecar.units import Transport as AddressKind
from sidecar.wiring import budgets_of, listen_tls

ROLES = {"none": Role.NONE, "read": Role.READ, "operate": Role.OPERATE}


class Administration:
    """The admin service of one process, and the reporters that it shows."""

    def __init__(self, config: Config, environ: Mapping[str, str], clock: Clock, redactor: Redactor) -> None:
        """Raises ConfigError for a token that cannot be used."""
        assert config.admin is not None
        self.config = config
        self._admin = config.admin
        self._environ = environ
        self._clock = clock
        self._mask = redactor.text
        self._started_unix_ns = clock.unix_ns()
        self.recent = Recent(clock)
        self.scorecards = Scorecards(clock)
        self.feed = Feed(clock, redactor.text)
        self.access = access_of(config.admin, environ, clock)
        self.server: AdminServer | None = None

    @property
    def address(self) -> str:
        """Where it listens; empty where it does not."""
        return self.server.address if self.server is not None else ""

    @property
    def files(self) -> tuple[Path | None, ...]:
        return self._admin.files

    def bind(
        self,
        line_up: LineUp,
        modes: Modes,
        following: Following,
        *,
        routes: Callable[[], Sequence[RouteFacts]],
        is_ready: Callable[[], bool],
        record_admin: Callable[..., None],
        replays: Replays | None = None,
    ) -> None:
        """Take the address. Raises ConfigError. Needs a running event loop."""

        def record(who: str, method: str, what: str, because: str, outcome: str) -> None:
            record_admin(method, who, {"what": what, "because": because, "outcome": outcome})

        config = self.config
        world = World(
            version=__version__,
            agent=config.agent,
            started_unix_ns=self._started_unix_ns,
            clock=self._clock,
            store=line_up.store,
            board=line_up.board,
            modes=modes,
            checks=[check.name for check in line_up.checks],
            specs=following,
            routes=routes,
            is_ready=is_ready,
            config=lambda: tree_of(config),
            verifiers=[VerifierFacts(each.name, str(each.address), each.mode, each.fail) for each in config.verifiers],
            is_skipped=line_up.panel.is_skipped,
            budgets=budget_facts(config),
            stuck_after_s=config.tasks.stuck_after_s,
            mask=self._mask,
            record=record,
            replays=replays,
        )
        server = AdminServer(
            settings_of(self._admin),
            world,
            self.access,
            recent=self.recent,
            scorecards=self.scorecards,
            feed=self.feed,
            identity_of=identity_of,
        )
        server.bind()
        self.server = server

    def renew(self) -> None:
        """Certificates and tokens as the files say now. Raises, and changes nothing, where they cannot be used."""
        if self._admin.tls is not None:
            self._admin.tls.check()
        tokens, settings = tokens_of(self._admin, self._environ), settings_of(self._admin)
        self.access.tokens = tokens
        if self.server is not None:
            self.server.renew(settings.tls)

    async def start(self) -> None:
        if self.server is not None:
            await self.server.start()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()


def settings_of(admin: Admin) -> AdminSettings:
    """The files as they are now."""
    tls = admin.tls
    return AdminSettings(
        address=admin.listen.target,
        socket=Path(admin.listen.path) if admin.listen.transport is AddressKind.UNIX else None,
        tls=listen_tls(tls) if tls else None,
    )


def access_of(admin: Admin, environ: Mapping[str, str], clock: Clock) -> Access:
    has_authority = admin.tls is not None and admin.tls.client_ca is not None
    roles = {client.identity: ROLES[client.role] for client in admin.clients}
    return Access(
        transport_of(admin),
        clock,
        tokens=tokens_of(admin, environ),
        certificates=Certificates(roles, Role.NONE if roles else Role.OPERATE) if has_authority else None,
        without=ROLES[admin.without],
        owner=owner(),
    )


def transport_of(admin: Admin) -> Transport:
    """A unix socket in the abstract namespace has no owner: whoever is on this machine can reach it."""
    if admin.listen.transport is AddressKind.UNIX:
        return "unix"
    return "loopback" if admin.listen.is_loopback else "network"


def tokens_of(admin: Admin, environ: Mapping[str, str]) -> tuple[Token, ...]:
    """As files and environment say now. Raises ConfigError, which never repeats a secret."""
    return tuple(
        Token(token.name, ROLES[token.role], token.secret(environ, f"admin.tokens[{index}]"))
        for index, token in enumerate(admin.tokens)
    )


def owner() -> str:
    """Who can reach a socket of ours: our own user, and root."""
    uid, name = os.geteuid(), ""
    with suppress(KeyError):
        name = f" ({pwd.getpwuid(uid).pw_name})"
    return f"unix socket of uid {uid}{name}"


def budget_facts(config: Config) -> list[BudgetFacts]:
    return [
        BudgetFacts(
            name=budget.name,
            scope=budget.scope.value,
            window=budget.window.value,
            limit_micro_usd=budget.limit_micro_usd,
            warn_at=budget.warn_at,
            mode=budget.mode,
            hold_of=budget.hold_of,
        )
        for budget in budgets_of(config)
    ]


def tree_of(section: Section) -> dict[str, Any]:
    """The tree by its YAML keys, with values as a file could say them. Passwords in URLs are masked; secrets of files
    and of the environment are named there and nowhere read.
    """
    names = {described.alias or name: name for name, described in type(section).model_fields.items()}
    return {key: plain(names[key], getattr(section, names[key])) for key in keyed_fields(type(section))}


def plain(name: str, value: Any) -> Any:
    if isinstance(value, Section):
        return tree_of(value)
    if isinstance(value, Mapping):
        return {str(key): plain(name, each) for key, each in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [plain(name, each) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (int, float)):
        unit = UNITS.get(name.rpartition("_")[2])
        return value if unit is None else f"{int(value) if value == int(value) else value}{unit}"
    return redacted(str(value)) if "://" in str(value) else str(value)


UNITS = {"s": "s", "bytes": "B"}
"""What a name's last word says of its number, as the configuration reads it."""
