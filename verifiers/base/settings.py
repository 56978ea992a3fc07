"""What the command line says: where a verifier is served, and what it may take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

EX_USAGE = 64
"""Exit code for a wrong command line (BSD sysexits)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Past these a verifier says so, and does not grow slow for everybody."""

    concurrency: int = 8
    """Judged at once. A judge that is a plain function has a thread for each."""
    waiting: int = 64
    """Wait for their turn; whoever comes after is refused at once with RESOURCE_EXHAUSTED."""
    verdict_ms: int = 30_000
    """From arrival to verdict, the wait included. Past it the verdict is INCONCLUSIVE."""
    drain_ms: int = 5_000
    """For calls that are open when the verifier is told to stop."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files."""

    cert: Path
    key: Path
    client_ca: Path | None = None
    """Whoever calls must show a certificate that this authority has signed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a server needs to know besides its judge."""

    listen: str = "127.0.0.1:0"
    """`HOST:PORT`, or `unix:/path`. Port 0 takes any free one."""
    metrics: str | None = "127.0.0.1:0"
    """Where Prometheus scrapes, as HOST:PORT. None: no metrics are served."""
    tls: Tls | None = None
    limits: Limits = Limits()
    scores: Path | None = None
    """A file that says how good this verifier was measured to be, see `scores`."""


STANDARD = Settings()
"""What an empty command line says."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(EX_USAGE, f"{self.prog}: {message}\n")


def parse(name: str, arguments: Sequence[str] | None = None) -> Settings:
    """The process's own command line unless `arguments` are given. A wrong one ends the process with 64."""
    parser = _parser(name)
    said = parser.parse_args(arguments)
    if bool(said.cert) != bool(said.key):
        parser.error("--cert and --key go together")
    if said.client_ca and not said.cert:
        parser.error("--client-ca needs --cert and --key")
    tls = Tls(said.cert, said.key, said.client_ca) if said.cert else None
    limits = Limits(said.concurrency, said.waiting, said.limit_ms, said.drain_ms)
    return Settings(said.listen, said.metrics, tls, limits, said.scores)


def _parser(name: str) -> argparse.ArgumentParser:
    standard, limits = STANDARD, STANDARD.limits
    parser = _Parser(f"python -m verifiers.{name}", allow_abbrev=False)
    add = parser.add_argument
    add("--listen", type=_listen, default=standard.listen, help="HOST:PORT or unix:/path; port 0 takes a free one")
    add("--metrics", type=_metrics, default=standard.metrics, help="HOST:PORT of /metrics, or off")
    add("--cert", type=_file, help="PEM certificate; without it the wire is plain")
    add("--key", type=_file, help="PEM key of the certificate")
    add("--client-ca", type=_file, help="PEM authority that callers' certificates must come from")
    add("--scores", type=_file, help="what bench.verifiers --save has measured; published as verifier_score")
    add("--concurrency", type=_positive, default=limits.concurrency, help="judged at once")
    add("--waiting", type=_count, default=limits.waiting, help="may wait for their turn")
    add("--limit-ms", type=_positive, default=limits.verdict_ms, help="for one verdict, the wait included")
    add("--drain-ms", type=_count, default=limits.drain_ms, help="for open calls when told to stop")
    return parser


def _listen(text: str) -> str:
    if not text.startswith("unix:"):
        return _endpoint(text)
    if not text.removeprefix("unix:"):
        raise argparse.ArgumentTypeError("unix: needs a path")
    return text


def _metrics(text: str) -> str | None:
    return None if text == "off" else _endpoint(text)


def _endpoint(text: str) -> str:
    """A host is demanded: nobody opens a verifier to every network by leaving something out."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return Path(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("must be a whole number, 0 or more")
    return int(text)


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
