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
JSONL_FORM = "jsonl:///absolute/path or jsonl:relative/path"
REDIS_FORM = "redis://host:port/db or rediss://host:port/db"
JOURNAL_FORMS = f"{SQLITE_FORM}, {JSONL_FORM}, otlp, {REDIS_FORM}"


@dataclass(frozen=True, slots=True)
class StateUrl:
    """Where state is kept. The URL may hold a password, so neither `str` nor `repr` shows it."""

    scheme: str
    url: str = field(repr=False)
    path: Path | None = None
    """sqlite and jsonl only: the file's absolute path."""

    def __str__(self) -> str:
        return redacted(self.url)


def read_store(value: Any, info: ValidationInfo) -> StateUrl:
    return read_state_url(
        value, info, ("memory", "sqlite", "redis", "rediss"), f"memory://, {SQLITE_FORM}, {REDIS_FORM}"
    )


def read_spool(value: Any, info: ValidationInfo) -> StateUrl:
    return read_state_url(value, info, ("memory", "sqlite"), f"memory://, {SQLITE_FORM}")


def read_journal(value: Any, info: ValidationInfo) -> StateUrl:
    if value == "otlp":
        return StateUrl("otlp", "otlp")
    return read_state_url(value, info, ("sqlite", "jsonl", "redis", "rediss"), JOURNAL_FORMS)


def read_state_url(value: Any, info: ValidationInfo, schemes: Sequence[str], allowed: str) -> StateUrl:
    text = text_of(value, allowed)
    scheme, _, rest = text.partition(":")
    if scheme not in schemes or (scheme == "memory" and rest != "//"):
        raise BadValue(allowed)
    if scheme in ("sqlite", "jsonl"):
        path = file_path(rest, base_of(info), SQLITE_FORM if scheme == "sqlite" else JSONL_FORM)
        return StateUrl(scheme, f"{scheme}://{path}", path)
    if scheme in ("redis", "rediss"):
        check_redis(text)
    return StateUrl(scheme, text)


def file_path(rest: str, base: Path, form: str) -> Path:
    """`//` must be followed by a third slash: `sqlite://var/x.db` would name a host called var (RFC 3986, 3.2)."""
    if not rest.strip("/") or (rest.startswith("//") and not rest.startswith("///")) or "\0" in rest:
        raise BadValue(form)
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
