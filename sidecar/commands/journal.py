"""`sidecar journal`: find records, export them, prove that nothing was changed.

Each takes the file that a sidecar writes, while it writes, or one that was exported. Exit codes: 0 as hoped, 1 the
chain does not hold, 64 a mistake of the operator's.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sidecar.errors import ConfigError, Mistake
from sidecar.telemetry.journal import Entry, Filter, Kind, LinesReader, Reader, Record, SqliteReader, UnreadableJournal
from sidecar.telemetry.journal.chain import Link, Verification, parsed_link
from sidecar.telemetry.journal.lines import line_of
from sidecar.telemetry.journal.reading import PAGE_MAX
from sidecar.telemetry.logs import printable
from sidecar.units import BadValue, parse_duration

FOLLOW_PERIOD_S: Final = 0.5

SQLITE_MAGIC: Final = b"SQLite format 3\0"

_URL: Final = re.compile(r"(?:sqlite|jsonl):(?://(?=/))?")

Command = TypeVar("Command", bound=Callable[..., Any])


def open_reader(where: str) -> Reader:
    """A path, or a URL as the configuration has it. Raises ConfigError."""
    path = Path(_URL.sub("", where, count=1))
    try:
        return SqliteReader(path) if is_sqlite(path) else LinesReader(path)
    except (UnreadableJournal, OSError) as error:
        raise ConfigError([Mistake("journal", str(error), "a file that a sidecar's journal wrote")]) from error


def is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(len(SQLITE_MAGIC))
    return start == SQLITE_MAGIC or not start


@contextmanager
def opened(where: str) -> Iterator[Reader]:
    reader = open_reader(where)
    try:
        yield reader
    except UnreadableJournal as error:
        raise ConfigError([Mistake("journal", str(error), "a journal that can be read")]) from error
    finally:
        reader.close()


def filter_options(command: Command) -> Command:
    """Which records; all that is said must be true of them."""
    options = (
        click.option("--since", help="From here on: 2026-08-01T12:00:00Z, or an age: 15m, 2h, 7d."),
        click.option("--until", help="Before this; as --since."),
        click.option("--agent", default="", help="On either side of the edge."),
        click.option("--caller", default="", help="Who called."),
        click.option("--callee", default="", help="Who was called."),
        click.option("--conversation", default="", help="Id of a conversation."),
        click.option("--exchange", "exchange_id", default="", help="Id of an exchange, as spans have it."),
        click.option("--kind", "kinds", multiple=True, type=click.Choice([kind.value for kind in Kind]), help="Kind."),
        click.option("--finding", "rule", default="", help="A check, or a rule of it: loop, spec/request.schema."),
        click.option("--decision", type=click.Choice(["forward", "reject", "replay"]), help="Decision."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def filter_of(since: str | None, until: str | None, kinds: Sequence[str], decision: str | None, **names: str) -> Filter:
    return Filter(
        since_ms=moment(since, "--since"),
        until_ms=moment(until, "--until"),
        kinds=frozenset(map(Kind, kinds)),
        decision=decision or "",
        **names,
    )


def moment(text: str | None, option: str) -> int | None:
    """Unix milliseconds of a time, or of so long ago."""
    if text is None:
        return None
    try:
        return int((time.time() - parse_duration(text)) * 1000)
    except BadValue:
        pass
    try:
        said = datetime.fromisoformat(text)
    except ValueError as error:
        allowed = "a time, 2026-08-01T12:00:00Z (without a zone: UTC), or an age: 15m, 2h, 7d"
        raise ConfigError([Mistake(option, repr(text), allowed)]) from error
    return int((said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp() * 1000)


@click.group()
def journal() -> None:
    """Find, export and verify what the journal recorded."""


@journal.command()
@click.argument("file")
@filter_options
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=50, show_default=True, help="Records of a page.")
@click.option("--after", type=int, help="The page after this place, as the page before says.")
@click.option("--newest-first", is_flag=True, help="Backwards from the end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as `export` writes them.")
def query(file: str, limit: int, after: int | None, newest_first: bool, as_json: bool, **wanted: Any) -> None:
    """Show records of FILE: a table, one line each, a page at a time."""
    with opened(file) as reader:
        page = reader.page(filter_of(**wanted), after=after, limit=limit, newest_first=newest_first)
    if as_json:
        for entry in page.entries:
            click.echo(json_line(entry), nl=False)
        return
    for line in table(page.entries):
        click.echo(line)
    if page.next_after is not None:
        click.echo(f"more: --after {page.next_after}", err=True)


@journal.command()
@click.argument("file")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@filter_options
def export(file: str, out: Path | None, **wanted: Any) -> None:
    """Write records of FILE as JSON lines, to OUT or to standard output; all other commands read them as well."""
    with opened(file) as reader:
        lines = exported(reader, filter_of(**wanted))
        if out is None:
            for line in lines:
                click.echo(line, nl=False)
            return
        try:
            with out.open("xb") as target:
                target.writelines(lines)
        except OSError as error:
            allowed = "a file that is not there yet, in a folder that can be written"
            raise ConfigError([Mistake("OUT", f"{out} ({error.strerror})", allowed)]) from error


@journal.command()
@click.argument("file")
@click.option("--head", help="A head that was written down, as PLACE:HASH: it must be in the chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def verify(file: str, head: str | None, as_json: bool) -> None:
    """Walk the whole chain of FILE and say every place where it was changed. Exit code 1 if there is any."""
    expected = expected_head(head)
    with opened(file) as reader:
        found = reader.verify(expected)
    click.echo(json.dumps(told(found), indent=2) if as_json else "\n".join(verdict_lines(file, found)))
    sys.exit(0 if found.is_whole else 1)


@journal.command()
@click.argument("file")
@filter_options
@click.option("--lines", type=click.IntRange(0, PAGE_MAX), default=10, show_default=True, help="Of what was before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(file: str, lines: int, as_json: bool, **wanted: Any) -> None:
    """Show the last records of FILE, and then those that come, until Ctrl-C."""
    chosen = filter_of(**wanted)
    with opened(file) as reader:
        last = reader.page(chosen, limit=max(lines, 1), newest_first=True).entries
        seq = last[0].seq if last else 0
        show(last[::-1] if lines else (), as_json=as_json)
        while True:
            page = reader.page(chosen, after=seq, limit=PAGE_MAX)
            if page.entries:
                show(page.entries, as_json=as_json)
                seq = page.entries[-1].seq
            else:
                time.sleep(FOLLOW_PERIOD_S)


def show(entries: Sequence[Entry], *, as_json: bool) -> None:
    for entry in entries:
        click.echo(json_line(entry), nl=False) if as_json else click.echo(row(entry))
    sys.stdout.flush()


def expected_head(head: str | None) -> Link | None:
    try:
        return None if head is None else parsed_link(head)
    except ValueError as error:
        raise ConfigError([Mistake("--head", repr(head), "PLACE:HASH, as the log and `verify` say it")]) from error


def exported(reader: Reader, wanted: Filter) -> Iterator[bytes]:
    """Lines that are a chain by themselves, where nothing between them was left out."""
    is_first = True
    for entry in reader.entries(wanted):
        prev = reader.link_before(entry.seq) if is_first else None
        is_first = False
        yield line_of(Link(entry.seq, entry.hash), entry.raw, prev)


def json_line(entry: Entry) -> str:
    return line_of(Link(entry.seq, entry.hash), entry.raw).decode()


# What people see.


def table(entries: Sequence[Entry]) -> Iterator[str]:
    if not entries:
        yield "no records"
        return
    yield f"{'place':>8}  {'time (UTC)':<23}  {'kind':<8}  {'edge':<24}  what"
    for entry in entries:
        yield row(entry)


def row(entry: Entry) -> str:
    record = entry.record
    about = record.about
    edge = f"{about.caller} → {about.callee}" if about.callee else "-"
    when = datetime.fromtimestamp(record.unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return f"{entry.seq:>8}  {when}  {record.kind:<8}  {edge:<24}  {printable(told_of(record))}"


def told_of(record: Record) -> str:
    """The one thing that matters of each kind."""
    body, about = record.body, record.about
    said: dict[Kind, Callable[[], str]] = {
        Kind.STARTED: lambda: f"{about.method}  conversation {about.conversation}",
        Kind.MESSAGE: lambda: f"{body['direction']} #{body['sequence']}  {body['size_bytes']} B  {names_of(body)}",
        Kind.FINDING: lambda: f"{body['check']}/{body['rule']} {body['severity']}, {body['action']}: {body['message']}",
        Kind.VERDICT: lambda: f"{body['verifier']}: {body['verdict']} {body['failure']}",
        Kind.DECISION: lambda: f"{body['decision']} {body.get('reason', '')} ({body['check']}/{body['rule']})",
        Kind.CHARGE: lambda: f"{body['micro_usd'] / 1e6:.6f} USD {body['source']} {body['model']}",
        Kind.ENDED: lambda: f"{body['code']} {body['decision']}  {body['duration_s'] * 1000:.1f} ms",
        Kind.ADMIN: lambda: f"{body['action']} by {body['by']}",
        Kind.OPENED: lambda: f"after {body['after']}" + ("" if body["was_closed"] else ", which was not closed"),
        Kind.CLOSED: lambda: "",
        Kind.DROPPED: lambda: f"{body['count']} records had no room ({body['where']})",
        Kind.PRUNED: lambda: f"up to {body['to']}",
    }
    try:
        return said[record.kind]().strip()
    except (KeyError, TypeError):
        return json.dumps(dict(record.body), default=str)


def names_of(body: Any) -> str:
    names = [f"{name} {body[name]}" for name in ("task_id", "context_id", "task_state") if body.get(name)]
    return ", ".join(names)


def verdict_lines(file: str, found: Verification) -> Iterator[str]:
    for one in found.breaks:
        yield f"{one.what:<10}  {one.sentence}"
    if (more := found.breaks_found - len(found.breaks)) > 0:
        yield f"            and {more} more"
    if found.dropped:
        yield f"note: {found.dropped} records had no room and were never written; records of kind `dropped` say where"
    for seq in found.unclean:
        yield f"note: at record {seq} it was opened and had not been closed: what was unwritten by then is missing"
    if found.start.seq:
        yield f"note: records up to {found.start.seq} were pruned"
    yield f"{file}: {found.records} records, head {found.head}"
    yield "whole: nothing was changed, removed or moved" if found.is_whole else f"broken in {found.breaks_found} places"


def told(found: Verification) -> dict[str, Any]:
    return {
        "is_whole": found.is_whole,
        "records": found.records,
        "start": str(found.start),
        "head": str(found.head),
        "breaks_found": found.breaks_found,
        "breaks": [asdict(one) for one in found.breaks],
        "dropped": found.dropped,
        "opened_unclosed_at": found.unclean,
    }
