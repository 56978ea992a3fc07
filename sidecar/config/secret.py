"""Secrets: named in the file, read from another file or the environment when they are needed, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from sidecar.config.section import Section
from sidecar.config.values import base_of
from sidecar.errors import ConfigError, Mistake
from sidecar.units import BadValue, matching, text_of

SECRET_BYTES_MIN = 16
"""Shortest secret. An HMAC-SHA256 key below the strength wanted (128 bits) is discouraged (RFC 2104, section 3)."""
SECRET_BYTES_MAX = 4096

FILE_BYTES_MAX = 16 * SECRET_BYTES_MAX
"""What is read of a file at most."""


class SecretPlace(Section):
    """Where one secret stands."""

    secret_file: Path | None = None
    """A file with the secret, 16 to 4096 bytes; newlines at its end do not count. This or `secret_env`, not both."""
    secret_env: Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")] | None = None
    """The environment variable that holds the secret."""

    @field_validator("secret_file", mode="before")
    @classmethod
    def _resolved(cls, value: Any, info: ValidationInfo) -> Path:
        return base_of(info) / text_of(value, "the path of a file")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.secret_file is None) == (self.secret_env is None):
            found = "neither of them" if self.secret_file is None else "both of them"
            raise BadValue("exactly one of secret_file and secret_env", found)
        return self

    def secret(self, environ: Mapping[str, str], where: str) -> bytes:
        """The secret as it is now. ConfigError, which never repeats it, where it is missing, too short or too long."""
        if self.secret_file is not None:
            return long_enough(read_secret(self.secret_file, f"{where} secret_file"), f"{where} secret_file")
        if self.secret_env is None or self.secret_env not in environ:
            raise ConfigError(
                [Mistake(f"{where} secret_env", f"{self.secret_env}, which is not set", "a set variable")]
            )
        return long_enough(environ[self.secret_env].encode("utf-8", "surrogateescape"), f"{where} secret_env")


def read_secret(path: Path, where: str) -> bytes:
    """Its bytes without the newlines at its end."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).rstrip(b"\r\n")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no valid path"
        raise ConfigError([Mistake(where, f"{path}: {why}", "a file that can be read")]) from error


def long_enough(secret: bytes, where: str) -> bytes:
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        allowed = f"{SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes: openssl rand -hex 32"
        raise ConfigError([Mistake(where, f"a secret of {len(secret)} bytes", allowed)])
    return secret
