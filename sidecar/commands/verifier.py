"""`sidecar verifier`: does a verifier, ours or anybody's, do what its callers rely on?

Exit codes: 0 every claim holds, 1 some do not, 64 a mistake of the operator's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click

from sidecar.units import BadValue, parse_address
from sidecar.verifier_check import Claim, check


@click.group()
def verifier() -> None:
    """Examine verifier agents."""


@verifier.command(name="check")
@click.argument("address")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds that each claim may take.")
def check_(address: str, timeout: float) -> None:
    """Ask the verifier at ADDRESS (host:port or unix:/path) everything that its callers rely on."""
    try:
        target = parse_address(address, default_host="127.0.0.1").target
    except BadValue as error:
        raise click.BadParameter(f"{address}: {error}", param_hint="ADDRESS") from error
    claims = asyncio.run(check(target, timeout))
    for line in told(claims):
        click.echo(line)
    sys.exit(0 if all(claim.ok for claim in claims) else 1)


def told(claims: Sequence[Claim]) -> list[str]:
    """A line for each claim, with what was seen where it does not hold."""
    lines = [
        f"{'ok' if claim.ok else 'no':<4}{claim.sentence}{'' if claim.ok else f': {claim.observed}'}"
        for claim in claims
    ]
    return [*lines, f"{sum(claim.ok for claim in claims)} of {len(claims)} claims hold"]
