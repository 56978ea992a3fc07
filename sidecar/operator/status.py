"""`sidecar status`: what runs here, what an operator changed, what needs somebody."""

from __future__ import annotations

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line
from sidecar.operator.screen import BAD, DIM, GOOD, JSON_OPTION, WARN, Column, Screen, coloured, say_json, wide
from sidecar.operator.words import age, count, plain
from sidecar.v1 import admin_pb2 as api

ROLES = {api.ROLE_READ: "read", api.ROLE_OPERATE: "operate"}


@click.command()
@JSON_OPTION
@on_a_line
def status(line: Line, as_json: bool) -> None:
    """What runs here, and what needs somebody.

    Also what an operator has changed of what the configuration says. Exit code 1 where something needs somebody or no
    calls are served.
    """
    found = line.call(line.stub.GetStatus, api.GetStatusRequest())
    if as_json:
        say_json(found)
    else:
        show(Screen(), found)
    if found.problems or not found.is_ready:
        click.get_current_context().exit(1)


@click.command()
@on_a_line
def config(line: Line) -> None:
    """The configuration in effect, as JSON, secrets masked."""
    click.echo(line.call(line.stub.GetConfig, api.GetConfigRequest()).json.decode("utf-8", "replace"))


def show(screen: Screen, found: api.Status) -> None:
    ready = coloured("serves", GOOD) if found.is_ready else coloured("does not serve: it starts or drains", BAD)
    screen.facts(
        [
            ("agent", Text.assemble((plain(found.agent), "bold"), f"  {found.mode}  ", ready)),
            ("version", f"{found.version}, up {age(found.uptime_s)}"),
            ("you", f"{found.you}, role {ROLES.get(found.role, 'none')}"),
            ("store", store_words(found.store)),
            ("open", open_words(found)),
            ("held back", held_words(found)),
            *changed_facts(found),
        ]
    )
    screen.say()
    columns = (Column("Route"), Column("Side"), Column("Mode"), wide("From"), wide("To"))
    screen.table(columns, (route_row(route) for route in found.routes), "It has no routes.")
    for problem in found.problems:
        screen.say()
        screen.say(f"! {problem}", BAD)


def store_words(store: api.StoreStatus) -> Text:
    if store.is_away:
        untold = f", {store.untold} changes still to be told" if store.untold else ""
        return coloured(f"{store.kind}, away: what it said last holds{untold}", BAD)
    return Text(f"{plain(store.kind)}, revision {store.revision}")


def open_words(found: api.Status) -> str:
    if not found.open_exchanges:
        return "no exchanges"
    return f"{count(found.open_exchanges)} exchanges, the oldest for {age(found.oldest_exchange_s)}"


def held_words(found: api.Status) -> Text:
    held = [f"{number} {kind}{'s' * (number > 1)}" for kind, number in sorted(found.quarantined.items()) if number]
    return coloured(", ".join(held), WARN) if held else Text("nothing")


def changed_facts(found: api.Status) -> list[tuple[str, Text]]:
    """Only what differs from the configuration."""
    facts = []
    for level in found.changed_modes:
        where = f"{level_name(level.level)} {plain(level.name)}".strip()
        what = f"{where}: {mode_name(level.changed)}, configured {mode_name(level.configured)}"
        more = "; more may be refused than the configuration says" if level.widens else ""
        facts.append(("changed", coloured(what + more, WARN)))
    if found.put_specs:
        facts.append(("put specs", coloured(", ".join(found.put_specs), WARN)))
    if found.changed_budgets:
        facts.append(("new limits", coloured(", ".join(found.changed_budgets), WARN)))
    return facts


def route_row(route: api.RouteStatus) -> tuple[str | Text, ...]:
    who = f"{route.caller} at {route.listen}"
    return route.name, route.side, mode_text(route.mode), who, f"{route.callee} at {route.upstream}"


def mode_text(mode: str) -> Text:
    return coloured(mode or "inherits", GOOD if mode == "enforce" else "" if mode else DIM)


def mode_name(mode: int) -> str:
    return {int(api.MODE_OBSERVE): "observe", int(api.MODE_ENFORCE): "enforce"}.get(mode, "inherits")


def level_name(level: api.Level) -> str:
    return str(api.Level.Name(level)).removeprefix("LEVEL_").lower()
