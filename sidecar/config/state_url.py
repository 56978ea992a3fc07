"""A state URL: where counters, claims and the journal are kept. Its form is checked here; nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationInfo

from sidecar.config.values import base_of, redacted
from sidecar.units import BadValue, text_of

SQLITE_FORM = "sqlite:///absolute/path or sqlite:relative/path"
REDIS_FORM = "redis://host:port/db or rediss://host:port/db"


@dataclass(frozen=True, slots=True)
class StateUrl:
    """Where state is kept. The URL may hold a password, so neither `str` nor `repr` shows it."""

    scheme: str
    url: str = field(repr=False)
    path: Path | None = None
    """sqlite only: the database's absolute path."""

    def __str__(self) -> str:
        return redacted(self.url)


def read_store(value: Any, info: ValidationInfo) -> StateUrl:
    return read_state_url(
        value, info, ("memory", "sqlite", "redis", "rediss"), f"memory://, {SQLITE_FORM}, {REDIS_FORM}"
    )


def read_spool(value: Any, info: ValidationInfo) -> StateUrl:
    return read_state_url(value, info, ("memory", "sqlite"), f"memory://, {SQLITE_FORM}")


def read_journal(value: Any, info: ValidationInfo) -> StateUrl:
    return read_state_url(value, info, ("sqlite",), SQLITE_FORM)


def read_state_url(value: Any, info: ValidationInfo, schemes: Sequence[str], allowed: str) -> StateUrl:
    text = text_of(value, allowed)
    scheme, _, rest = text.partition(":")
    if scheme not in schemes or (scheme == "memory" and rest != "//"):
        raise BadValue(allowed)
    if scheme == "sqlite":
        path = sqlite_path(rest, base_of(info))
        return StateUrl(scheme, f"sqlite://{path}", path)
    if scheme in ("redis", "rediss"):
        check_redis(text)
    return StateUrl(scheme, text)


def sqlite_path(rest: str, base: Path) -> Path:
    """`//` must be followed by a third slash: `sqlite://var/x.db` would name a host called var (RFC 3986, 3.2)."""
    if not rest.strip("/") or (rest.startswith("//") and not rest.startswith("///")) or "\0" in rest:
        raise BadValue(SQLITE_FORM)
    return (base / re.sub("^//+", "/", rest)).absolute()


def check_redis(url: str) -> None:
    """redis://[user:password@]host[:port][/db] (IANA's provisional registration of the scheme)."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or not re.fullmatch(r"/?[0-9]{0,4}", parts.path) or parts.query or parts.fragment:
        raise BadValue(REDIS_FORM)
