"""Lineage, as the operator decides it: how calls are joined to their cause, and the secrets that sign entries.

A secret is named here and read when the sidecar starts, so that the tree can be printed and compared without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sidecar.config.clashes import refuse_repeated
from sidecar.config.section import Section
from sidecar.config.values import PlainName, base_of, entries
from sidecar.errors import ConfigError, Mistake
from sidecar.units import BadValue, count, matching, seconds, text_of

SECRET_BYTES_MIN = 16
"""Shortest key. An HMAC-SHA256 key below the strength wanted (128 bits) is discouraged (RFC 2104, section 3)."""
SECRET_BYTES_MAX = 4096


class Join(Section):
    """Joining our agent's calls to the inbound call that caused them, where the agent carries no trace context."""

    mode: Literal["full", "ids_only", "off"] = "full"
    """full: by ids, else to the only call in flight. ids_only: by ids. off: by headers alone."""
    window_s: Annotated[float, seconds("1s", "1d")] = Field(default=600.0, alias="window")
    """Seconds that an ended call with an unfinished task can still be the cause."""
    max_exchanges: Annotated[int, count(1, 1_000_000)] = 10_000
    """Inbound calls remembered for joining. The oldest is forgotten first."""


class LineageKey(Section):
    """A shared secret that signs lineage entries. It is named here and read when the sidecar starts."""

    id: PlainName
    """Travels in the entry, so that the other side knows which key to verify with."""
    secret_file: Path | None = None
    """A file with the secret, 16 to 4096 bytes; newlines at its end do not count. This or `secret_env`, not both."""
    secret_env: Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")] | None = None
    """The environment variable that holds the secret."""

    @field_validator("secret_file", mode="before")
    @classmethod
    def _resolved(cls, value: Any, info: ValidationInfo) -> Path:
        return base_of(info) / text_of(value, "the path of a file")

    @model_validator(mode="after")
    def _one_place(self) -> LineageKey:
        if (self.secret_file is None) == (self.secret_env is None):
            found = "neither of them" if self.secret_file is None else "both of them"
            raise BadValue("exactly one of secret_file and secret_env", found)
        return self

    def read(self, environ: Mapping[str, str]) -> bytes:
        """The secret. ConfigError where it is missing, too short or too long."""
        where = f"lineage key {self.id}"
        if self.secret_file is not None:
            return long_enough(read_secret(self.secret_file, where), f"{where} secret_file")
        if self.secret_env is None or self.secret_env not in environ:
            raise ConfigError(
                [Mistake(f"{where} secret_env", f"{self.secret_env}, which is not set", "a set variable")]
            )
        return long_enough(environ[self.secret_env].encode("utf-8", "surrogateescape"), f"{where} secret_env")


def read_secret(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16 * SECRET_BYTES_MAX).rstrip(b"\r\n")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no valid path"
        raise ConfigError([Mistake(f"{where} secret_file", f"{path}: {why}", "a file that can be read")]) from error


def long_enough(secret: bytes, where: str) -> bytes:
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        allowed = f"{SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes: openssl rand -hex 32"
        raise ConfigError([Mistake(where, f"a secret of {len(secret)} bytes", allowed)])
    return secret


class LineageSettings(Section):
    """The signed entry that sidecars hand to each other."""

    keys: Annotated[tuple[LineageKey, ...], entries()] = ()
    """The first signs, all verify, so a key can be replaced without a gap. None: entries count on this machine only."""
    expires_s: Annotated[float, seconds("1s", "1d")] = Field(default=300.0, alias="expires")
    """Seconds until an entry is worth nothing. Clocks of two machines may differ by less than this."""
    max_hops: Annotated[int, count(1, 1024)] = 64
    """Longest path kept in an entry."""

    @field_validator("keys")
    @classmethod
    def _unique(cls, keys: tuple[LineageKey, ...]) -> tuple[LineageKey, ...]:
        refuse_repeated([key.id for key in keys], "id")
        return keys
