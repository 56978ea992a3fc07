"""`sidecar replay`: what a journal recorded, through the specs and checks of today, or against a test agent.

Exit codes: 0 nothing would be different, 1 something would, 64 a mistake of the operator's.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sidecar import config
from sidecar.app import load_descriptors
from sidecar.commands.journal import filter_of, opened
from sidecar.config import Config
from sidecar.engine.message import JSON
from sidecar.errors import ConfigError, Mistake
from sidecar.journaling import redactor_of
from sidecar.replay import Answered, Change, RecordedExchange, Rehearsal, Rerun, recorded_exchanges, rehearse, rerun
from sidecar.replay.recorded import Step
from sidecar.spec_files import SpecSource
from sidecar.telemetry.logs import printable
from sidecar.units import BadValue, Transport, parse_address, parse_duration

CALLS_MAX = 1_000
SHOWN_MAX = 200
"""Changes that are listed one by one; `--json` has all."""


@click.command()
@click.argument("journal")
@click.option("-c", "--config", "file", required=True, type=click.Path(path_type=Path), help="Today's configuration.")
@click.option("--since", help="Exchanges from here on: 2026-08-01T12:00:00Z, or an age: 15m, 2h, 7d.")
@click.option("--until", help="Before this; as --since.")
@click.option("--conversation", default="", help="One conversation alone.")
@click.option("--against", help="Send the requests to a test agent at this address instead: host:port or unix:/path.")
@click.option("--deadline", default="30s", show_default=True, help="With --against: for each call.")
@click.option(
    "--limit", type=click.IntRange(1, CALLS_MAX), default=20, show_default=True, help="With --against: calls at most."
)
@click.option("--even-if-configured", is_flag=True, help="With --against: also to an address that the file names.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def replay(
    journal: str,
    file: Path,
    since: str | None,
    until: str | None,
    conversation: str,
    against: str | None,
    deadline: str,
    limit: int,
    even_if_configured: bool,
    as_json: bool,
) -> None:
    """Run what JOURNAL recorded through today's specs and checks and show what would be decided differently.

    JOURNAL is the file that a sidecar writes, or one that was exported. Nothing is dialled unless --against is said.
    """
    tree = config.load(file, os.environ)
    with opened(journal) as reader:
        wanted = filter_of(since, until, (), None, conversation=conversation)
        exchanges, steps, strays = recorded_exchanges(reader.entries(wanted))
    if not exchanges:
        raise ConfigError([Mistake("journal", "no exchange that began in it", "a journal with what was asked for")])
    if against is None:
        show_rerun(tree, exchanges, steps, strays, as_json=as_json)
    if not conversation:
        raise ConfigError([Mistake("--against", "no --conversation", "one conversation, by its id")])
    terms = Rehearsal(
        address_of(str(against), tree, even_if_configured=even_if_configured), seconds(deadline), limit, masker(tree)
    )
    show_rehearsal(tree, exchanges, terms, as_json=as_json)


def show_rerun(
    tree: Config, exchanges: Sequence[RecordedExchange], steps: Sequence[Step], strays: int, *, as_json: bool
) -> None:
    result = asyncio.run(rerun(tree, steps, exchanges, load_descriptors(tree)))
    if as_json:
        click.echo(json.dumps(told(result, strays), indent=2))
    else:
        click.echo("\n".join(lines_of(result, strays)))
    sys.exit(1 if result.changes else 0)


def show_rehearsal(tree: Config, exchanges: Sequence[RecordedExchange], terms: Rehearsal, *, as_json: bool) -> None:
    answered = asyncio.run(rehearse(exchanges, load_descriptors(tree), terms))
    if as_json:
        click.echo(json.dumps([answered_object(each) for each in answered], indent=2))
    else:
        click.echo("\n".join(rehearsal_lines(answered, len(exchanges))))
    sys.exit(0 if all(each.is_same for each in answered) else 1)


def masker(tree: Config) -> Callable[[RecordedExchange, JSON], JSON]:
    """What today's journal would make of a document."""
    redactor = redactor_of(tree)
    specs = SpecSource(tree.specs, verifiers=[verifier.name for verifier in tree.verifiers])

    def mask(exchange: RecordedExchange, document: JSON) -> JSON:
        about = exchange.about
        spec = specs.match(about.caller, about.callee, about.method)
        return redactor.document(document, spec.content.redact if spec is not None and spec.content is not None else ())

    return mask


def address_of(text: str, tree: Config, *, even_if_configured: bool) -> str:
    """Requests have effects: an agent that this configuration names is more likely at work than a test."""
    try:
        address = parse_address(text, default_host="127.0.0.1")
    except BadValue as bad:
        raise ConfigError([Mistake("--against", repr(text), bad.allowed)]) from bad
    if address.transport is Transport.TCP and address.is_wildcard:
        raise ConfigError([Mistake("--against", repr(text), "an address that can be dialled")])
    used = [
        where
        for index, route in enumerate(tree.routes)
        for where, other in ((f"routes[{index}].listen", route.listen), (f"routes[{index}].upstream", route.upstream))
        if address.overlaps(other)
    ]
    if used and not even_if_configured:
        found = f"{address}, which is {used[0]}: requests have effects there"
        raise ConfigError([Mistake("--against", found, "the address of a test agent, or --even-if-configured")])
    return address.target


def seconds(text: str) -> float:
    try:
        found = parse_duration(text)
    except BadValue as bad:
        raise ConfigError([Mistake("--deadline", repr(text), bad.allowed)]) from bad
    if not 0 < found <= 3600:
        raise ConfigError([Mistake("--deadline", repr(text), "more than 0s, at most 1h")])
    return found


# What people see.


def lines_of(result: Rerun, strays: int) -> Iterator[str]:
    yield from map(change_line, result.changes[:SHOWN_MAX])
    if (more := len(result.changes) - SHOWN_MAX) > 0:
        yield f"and {more} more"
    for what, rules in (("new", result.new_findings), ("gone", result.gone_findings)):
        for rule, count in sorted(rules.items()):
            yield f"finding {what}: {rule} in {counted(count, 'exchange')}"
    yield from (f"note: {note}" for note in notes(result, strays))
    changed = f"{len(result.changes)} would be decided differently" if result.changes else "nothing would be different"
    yield f"{counted(result.exchanges, 'exchange')} replayed: {changed}"


def change_line(change: Change) -> str:
    about = change.exchange.about
    when = datetime.fromtimestamp(change.exchange.started.unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    because = f"{change.rule}: {change.sentence}" if change.sentence else f"{change.rule} no longer says so"
    edge = f"{about.caller} → {about.callee} {about.method}"
    return printable(f"{when}  {edge}  was {change.before}, now {change.after}") + f"\n    {printable(because)}"


def notes(result: Rerun, strays: int) -> Iterator[str]:
    if result.without_content:
        yield (
            f"{counted(result.without_content, 'exchange')} without documents: judged by names, sizes and times alone "
            "(a spec allows documents with `content: {journal: true}`)"
        )
    if result.unanswered:
        yield f"{counted(result.unanswered, 'exchange')} let through now: what their callee would answer is not known"
    if strays:
        yield f"{counted(strays, 'record')} of exchanges that began before the journal does, or before --since"
    yield "verifiers were not asked; metadata is not recorded, so neither are retries and usage that it told"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def told(result: Rerun, strays: int) -> dict[str, Any]:
    return {
        "exchanges": result.exchanges,
        "without_content": result.without_content,
        "unanswered": result.unanswered,
        "strays": strays,
        "new_findings": result.new_findings,
        "gone_findings": result.gone_findings,
        "changes": [
            {
                **asdict(change.exchange.about),
                "unix_ns": change.exchange.started.unix_ns,
                "before": change.before,
                "after": change.after,
                "rule": change.rule,
                "sentence": change.sentence,
            }
            for change in result.changes
        ],
    }


def rehearsal_lines(answered: Sequence[Answered], exchanges: int) -> Iterator[str]:
    for each in answered:
        about = each.exchange.about
        if each.is_same:
            yield printable(f"same  {about.method}  {each.code}")
            continue
        code = each.code if each.code == each.recorded_code else f"{each.code}, and {each.recorded_code} was recorded"
        yield printable(f"other {about.method}  {code}  {each.note}".rstrip())
        yield from (f"    {printable(difference)}" for difference in each.differences)
    if (left := exchanges - len(answered)) > 0:
        yield f"note: {counted(left, 'call')} not sent (--limit)"
    same = sum(each.is_same for each in answered)
    yield f"{counted(len(answered), 'call')}: {same} answered as recorded, {len(answered) - same} otherwise"


def answered_object(each: Answered) -> dict[str, Any]:
    return {
        **asdict(each.exchange.about),
        "code": each.code,
        "recorded_code": each.recorded_code,
        "is_same": each.is_same,
        "differences": list(each.differences),
        "note": each.note,
    }
