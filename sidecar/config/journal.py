"""The journal and what is masked in it: where everything seen and decided is recorded, and what is kept from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from sidecar.config.section import Section
from sidecar.config.state_url import JOURNAL_FORMS, StateUrl, read_journal
from sidecar.config.values import Flag, entries
from sidecar.engine.redaction import DEFAULT_KEYS, DETECTORS
from sidecar.engine.specs import BrokenPath, Path
from sidecar.units import BadValue, count, matching, one_of, seconds, size

Target = Annotated[StateUrl, BeforeValidator(read_journal)]


def one_or_more(value: Any) -> Any:
    """One target need not stand in a list."""
    if not isinstance(value, str | list):
        raise BadValue(f"a URL or a list of them: {JOURNAL_FORMS}")
    return [value] if isinstance(value, str) else value


class Journal(Section):
    """Where everything seen and decided is recorded. A plain URL is short for `to`."""

    to: Annotated[tuple[Target, ...], entries(low=1), BeforeValidator(one_or_more)]
    """One or several places: a SQLite file, JSON lines, `otlp`, a Redis stream."""
    max_age_s: Annotated[float, seconds("1m", "3650d")] = Field(default=604_800.0, alias="max_age")
    """Seconds that records are kept in a SQLite file."""
    max_size_bytes: Annotated[int, size("1MiB", "1024GiB")] = Field(default=1 << 30, alias="max_size")
    """Bytes that a SQLite file, or JSON lines with what was rotated away, may take."""
    flush_s: Annotated[float, seconds("10ms", "10s")] = Field(default=0.2, alias="flush")
    """Longest wait in seconds before records are written. What is younger is lost with the process."""
    queue: Annotated[int, count(100, 1_000_000)] = 20_000
    """Records that may wait for each place. What comes on top is dropped, counted, and told by a record."""
    content_bytes: Annotated[int, size("0B", "16MiB")] = Field(default=64 << 10, alias="content")
    """Largest document that is kept where its spec allows that any are."""
    stream: Annotated[str, matching(r"[!-~]{1,200}", "1 to 200 printable ASCII characters without spaces")] = (
        "sidecar:journal"
    )
    """Key of the Redis stream."""
    stream_length: Annotated[int, count(100, 100_000_000)] = 1_000_000
    """Records that the Redis stream keeps, about."""

    @field_validator("to")
    @classmethod
    def _once(cls, targets: tuple[StateUrl, ...]) -> tuple[StateUrl, ...]:
        """Two chains in one file would be none."""
        if len({target.url for target in targets}) < len(targets):
            raise BadValue("each place once", "one place twice")
        if sum(target.scheme == "sqlite" for target in targets) > 1:
            raise BadValue("one SQLite file", "several of them")
        return targets

    @property
    def sqlite(self) -> StateUrl | None:
        """The file that can be asked, where there is one."""
        return next((target for target in self.to if target.scheme == "sqlite"), None)


def read_journal_section(value: Any) -> Any:
    """`journal: "sqlite:///path"`, a list of such, or the section."""
    return value if isinstance(value, Mapping) else {"to": value}


def read_path(value: Any) -> Path:
    if not isinstance(value, str) or len(value) > 512:
        raise BadValue("a JSONPath (RFC 9535): $.message.parts[*].data.iban")
    try:
        return Path(value)
    except BrokenPath as error:
        raise BadValue(error.allowed) from error


KeyGlob = Annotated[
    str, matching(r"[A-Za-z0-9._*? -]{1,64}", "a name of a field, 1 to 64 letters, digits, and . _ - *, with globs")
]


def read_detector(value: Any) -> Any:
    if value not in DETECTORS:
        raise BadValue(one_of(tuple(DETECTORS)))
    return value


class Redaction(Section):
    """What is masked before anything leaves the process: in spans, log lines, the journal and what `tail` shows."""

    paths: Annotated[tuple[Annotated[Path, BeforeValidator(read_path)], ...], entries()] = ()
    """Places in every document, as JSONPath. Specs may name further ones."""
    keys: Annotated[tuple[KeyGlob, ...], entries()] = ()
    """Names of fields whose values are masked wherever they stand, as globs, on top of the usual ones."""
    usual_keys: Flag = True
    """Whether fields are masked whose names say that they hold credentials: `*password*`, `*secret*`, `token` ..."""
    detectors: Annotated[tuple[Annotated[str, BeforeValidator(read_detector)], ...], entries()] = tuple(DETECTORS)
    """What is recognised by its form in any text: secrets, emails, cards. An empty list is none."""

    @property
    def all_keys(self) -> tuple[str, ...]:
        return (*DEFAULT_KEYS, *self.keys) if self.usual_keys else self.keys
