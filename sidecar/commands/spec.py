"""`sidecar spec`: infer a spec from recorded exchanges, test specs against them, compare two versions.

`sidecar spec shipped` says where the specs are that come with the product.

Exit codes: 0 as hoped, 1 something would be refused or would break, 64 a mistake of the operator's.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sidecar.engine.exchange import UNKNOWN_CALLER
from sidecar.engine.message import Direction
from sidecar.engine.specs import Spec, SpecTable
from sidecar.errors import ConfigError, Mistake
from sidecar.spec_files import load
from sidecar.spec_tools.compare import Change, Verdict, compare_tables
from sidecar.spec_tools.infer import MAX_ENUM_VALUES, EnumRule, infer
from sidecar.spec_tools.proposal import written
from sidecar.spec_tools.recorded import Bare, Edge, Recorded, read_recorded
from sidecar.spec_tools.replay import Refused, Result, replay

PATH = click.Path(path_type=Path)


class ManyDocuments(click.Command):
    """Lets `--documents` take all that follows it up to the next option, as a shell unfolds `calls/*.jsonl`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(spread(args)))


def spread(args: Iterable[str]) -> Iterator[str]:
    is_open = False
    for argument in args:
        is_name = argument.startswith("-") and argument != "-"
        if is_open and not is_name:
            yield from ("--documents", argument)
        elif argument != "--documents":
            yield argument
        is_open = argument == "--documents" or (is_open and not is_name)


def bare_options(command: Any) -> Any:
    """The edge of documents that are recorded without it."""
    for option in (
        click.option("--direction", type=click.Choice(["request", "response"]), help="The files hold bare documents."),
        click.option("--callee", help="The agent that is called; without --direction, only its exchanges are read."),
        click.option(
            "--method", help="Its full name, /package.Service/Method; without --direction, only its exchanges."
        ),
        click.option("--caller", help="The agent that calls, for bare documents."),
    ):
        command = option(command)
    return command


@click.group()
def spec() -> None:
    """Write, test and compare specs."""


@spec.command()
def shipped() -> None:
    """Print the folder of the specs that come with the product; `a2a/` in it is the pack for A2A v1."""
    click.echo(str(shipped_folder()))


def shipped_folder() -> Path:
    """In an installed package they lie inside it; in a source checkout they are its `specs/`."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent / "specs"


@spec.command(cls=ManyDocuments)
@click.argument("specs", nargs=-1, required=True, type=PATH)
@click.option("--documents", multiple=True, required=True, type=PATH, help="Recorded exchanges: JSON or JSON Lines.")
@bare_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def test(specs: tuple[Path, ...], documents: tuple[Path, ...], as_json: bool, **edge: str | None) -> None:
    """Hold recorded exchanges to SPECS (files or folders) and say what would be refused.

    Exit code 1 if anything would be.
    """
    table = load(specs)
    exchanges = read_chosen(documents, **edge)
    result = replay(exchanges, table)
    refuse_nothing_checked(result, table)
    click.echo(json.dumps(told(result), indent=2) if as_json else "\n".join(lines_of(result, table)))
    sys.exit(1 if result.refused else 0)


@spec.command(name="infer")
@click.argument("files", nargs=-1, required=True, type=PATH)
@bare_options
@click.option("--name", help="The spec's name and version: researcher/v1.")
@click.option("--enums", is_flag=True, help="Propose enums. Copies values from the files into the spec; default off.")
@click.option(
    "--enum-limit", type=click.IntRange(1, 64), default=MAX_ENUM_VALUES, show_default=True, help="Most values."
)
def infer_(files: tuple[Path, ...], name: str | None, enums: bool, enum_limit: int, **edge: str | None) -> None:
    """Propose a spec for one callee and method from recorded exchanges, as YAML.

    No value of the files is copied into it unless --enums is given.
    """
    exchanges = read_chosen(files, **edge)
    proposal = infer(exchanges, name=name, enums=EnumRule(enum_limit) if enums else None)
    click.echo(written(proposal), nl=False)


@spec.command()
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Say what changed from OLD to NEW (spec files or folders) and whom it breaks. Exit code 1 if anybody."""
    changes = list(compare_tables(load([old]), load([new])))
    count = sum(change.verdict.is_breaking for change in changes)
    if as_json:
        click.echo(json.dumps({"breaking": count, "changes": [asdict(change) for change in changes]}, indent=2))
    else:
        click.echo("\n".join([*map(change_line, by_weight(changes)), diff_summary(changes)]))
    sys.exit(1 if count else 0)


def read_chosen(
    paths: Sequence[Path], *, direction: str | None, callee: str | None, method: str | None, caller: str | None
) -> list[Recorded]:
    """Everything in the files, or the exchanges of one callee or method."""
    if direction is None:
        if caller is not None:
            raise click.UsageError("--caller is for bare documents: say --direction, --callee and --method too")
        found = read_recorded(paths)
        return [one for one in found if callee in (None, one.edge.callee) and method in (None, one.edge.method)]
    if callee is None or method is None:
        raise click.UsageError("bare documents need all of --direction, --callee and --method")
    return read_recorded(paths, Bare(Edge(callee, method, caller or UNKNOWN_CALLER), Direction(direction)))


def refuse_nothing_checked(result: Result, table: SpecTable) -> None:
    """A test that checked nothing must not pass."""
    if result.messages == 0:
        seen = ", ".join(map(str, list(result.uncovered)[:5])) or "no exchange"
        covered = ", ".join(one.name for one in table.specs[:5]) or "no spec"
        allowed = f"exchanges on an edge that one of the specs matches: {covered}"
        raise ConfigError([Mistake("documents", f"nothing to check: {seen}", allowed)])


def lines_of(result: Result, table: SpecTable) -> Iterator[str]:
    yield from map(refused_line, result.refused)
    for one in table.specs:
        if live := live_parts(one):
            yield f"note: {one.name} also says {', '.join(live)}, which only live calls can show"
    for edge, count in result.uncovered.items():
        yield f"note: no spec covers {edge} ({counted(count, 'message')} not checked)"
    refused = f"{result.refused_messages} would be refused" if result.refused else "none would be refused"
    yield f"{counted(result.messages, 'message')} of {counted(result.exchanges, 'exchange')} checked: {refused}"


def live_parts(spec: Spec) -> list[str]:
    """What a spec promises over several calls, or of their time and money."""
    parts = {
        "deadline": spec.deadline_s,
        "idempotency": spec.idempotency,
        "reads": spec.reads,
        "task": spec.task,
        "resource": spec.resource,
        "cost": spec.cost,
        "verifiers": spec.panel,
    }
    return [name for name, part in parts.items() if part is not None]


def refused_line(one: Refused) -> str:
    finding = one.finding
    return f"{one.where}  {finding.rule}  {finding.message}"


def told(result: Result) -> dict[str, Any]:
    return {
        "exchanges": result.exchanges,
        "messages": result.messages,
        "refused_messages": result.refused_messages,
        "uncovered": [{**asdict(edge), "messages": count} for edge, count in result.uncovered.items()],
        "refused": [told_of(one) for one in result.refused],
    }


def told_of(one: Refused) -> dict[str, Any]:
    finding = one.finding
    return {
        "where": one.where,
        "direction": one.direction.value,
        "sequence": one.sequence,
        "spec": finding.spec,
        "rule": finding.rule,
        "pointer": finding.pointer,
        "message": finding.message,
    }


def by_weight(changes: Iterable[Change]) -> list[Change]:
    """What breaks comes first; else the order of the spec stays."""
    order = list(Verdict)
    return sorted(changes, key=lambda change: order.index(change.verdict))


def change_line(change: Change) -> str:
    return f"{change.verdict}: {change.spec} {change.where} {change.pointer}".rstrip() + f": {change.sentence}"


def diff_summary(changes: Sequence[Change]) -> str:
    counts = Counter(change.verdict for change in changes)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]) or "no change"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
