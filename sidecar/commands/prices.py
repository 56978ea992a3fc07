"""`sidecar prices`: what a model costs here, or that nobody knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sidecar import config
from sidecar.engine.usage import Usage
from sidecar.prices import PriceSource
from sidecar.wiring import own_prices

MILLION = 1_000_000


@click.command()
@click.argument("model")
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="Configuration with a `prices` section.")
def prices(model: str, file: Path | None) -> None:
    """Say what MODEL costs, in US dollars per million tokens. Exit code 1 where it has no price."""
    source = PriceSource()
    if file is not None:
        tree = config.load(file, os.environ)
        source = PriceSource(tree.prices.file, own_prices(tree))
    uses = {
        "input": Usage(model, MILLION, 0),
        "cache read": Usage(model, MILLION, 0, cache_read_tokens=MILLION),
        "cache write": Usage(model, MILLION, 0, cache_write_tokens=MILLION),
        "output": Usage(model, 0, MILLION),
    }
    costs = {name: source.price(usage) for name, usage in uses.items()}
    if all(cost is None for cost in costs.values()):
        click.echo(f"{model} has no price: its calls keep their hold and are counted as unpriced")
        sys.exit(1)
    for name, cost in costs.items():
        click.echo(f"{name:<12}{'no price' if cost is None else f'{cost / MILLION:.6g}'}")
