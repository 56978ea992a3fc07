"""`python -m dashboards.rules [--factor N] [--out DIR] [--set NAME=VALUE]...`: write recording.yml and alerts.yml.

Without arguments what ships is written: these two, and what docs/runbooks/ says of them.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dashboards.rules import Settings, alerts, recordings, runbooks
from dashboards.rules.files import rendered

HERE = Path(__file__).parent
FIELDS = {field.name: field for field in fields(Settings)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboards.rules", description=__doc__)
    parser.add_argument("--factor", type=positive, default=1.0, help="divide every length of time by this (default 1)")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder to write to (default: where it ships)")
    parser.add_argument("--set", action="append", type=setting, default=[], metavar="NAME=VALUE", help="change a limit")
    given = parser.parse_args(arguments)
    settings = replace(Settings(), **dict(given.set))
    given.out.mkdir(parents=True, exist_ok=True)
    for name, groups in (("recording", recordings), ("alerts", alerts)):
        path = given.out / f"{name}.yml"
        path.write_text(rendered(groups(given.factor, settings)), encoding="utf-8")
        print(path)
    if (given.factor, given.out, settings) == (1.0, HERE, Settings()):
        runbooks.write()


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"found {text}; a number above 0 is allowed")
    return value


def setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in FIELDS:
        raise argparse.ArgumentTypeError(f"found {text!r}; NAME=VALUE is allowed, NAME one of {', '.join(FIELDS)}")
    kind = type(FIELDS[name].default)
    try:
        return name, kind(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{name}: found {value!r}; a {kind.__name__} is allowed") from error


if __name__ == "__main__":
    main()
