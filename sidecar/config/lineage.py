"""Lineage, as the operator decides it: how calls are joined to their cause, and the secrets that sign entries.

A secret is named here and read when the sidecar starts, so that the tree can be printed and compared without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from sidecar.config.clashes import refuse_repeated
from sidecar.config.secret import SecretPlace, long_enough, read_secret
from sidecar.config.section import Section
from sidecar.config.values import MAX_ENTRIES, PlainName, base_of, entries
from sidecar.errors import ConfigError, Mistake
from sidecar.units import BadValue, count, seconds, text_of

KEYS_FILE_FORM = "a list of keys, the first of which signs: [{id: k2, secret: ...}, {id: k1, secret: ...}]"
KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Join(Section):
    """Joining our agent's calls to the inbound call that caused them, where the agent carries no trace context."""

    mode: Literal["full", "ids_only", "off"] = "full"
    """full: by ids, else to the only call in flight. ids_only: by ids. off: by headers alone."""
    window_s: Annotated[float, seconds("1s", "1d")] = Field(default=600.0, alias="window")
    """Seconds that an ended call with an unfinished task can still be the cause."""
    max_exchanges: Annotated[int, count(1, 1_000_000)] = 10_000
    """Inbound calls remembered for joining. The oldest is forgotten first."""


class LineageKey(SecretPlace):
    """A shared secret that signs lineage entries. It is named here and read when the sidecar starts."""

    id: PlainName
    """Travels in the entry, so that the other side knows which key to verify with."""

    def read(self, environ: Mapping[str, str]) -> bytes:
        """The secret. ConfigError where it is missing, too short or too long."""
        return self.secret(environ, f"lineage key {self.id}")


def read_keys_file(path: Path) -> tuple[tuple[str, bytes], ...]:
    """A YAML list of {id, secret}. ConfigError where it is anything else; what stands in it is never repeated."""
    where = "lineage keys_file"
    text = read_secret(path, where).decode("utf-8", "replace")
    try:
        listed = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([Mistake(where, f"{path}: not YAML", KEYS_FILE_FORM)]) from error
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_ENTRIES:
        raise ConfigError([Mistake(where, f"{path}: no list of 1 to {MAX_ENTRIES} keys", KEYS_FILE_FORM)])
    keys = dict(key_in(entry, f"{where} [{index}]") for index, entry in enumerate(listed))
    if len(keys) < len(listed):
        raise ConfigError([Mistake(where, f"{path}: one id twice", "an id of its own for each key")])
    return tuple(keys.items())


def key_in(entry: Any, where: str) -> tuple[str, bytes]:
    if not isinstance(entry, dict) or set(entry) != {"id", "secret"}:
        raise ConfigError([Mistake(where, "an entry of another form", KEYS_FILE_FORM)])
    key_id, secret = entry["id"], entry["secret"]
    if not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
        raise ConfigError([Mistake(f"{where}.id", "no name", "1 to 64 letters, digits, and . _ -")])
    if not isinstance(secret, str):
        raise ConfigError([Mistake(f"{where}.secret", f"a {type(secret).__name__}", "text in quotes")])
    return key_id, long_enough(secret.encode(), f"{where}.secret")


class LineageSettings(Section):
    """The signed entry that sidecars hand to each other."""

    keys: Annotated[tuple[LineageKey, ...], entries()] = ()
    """The first signs, all verify, so a key can be replaced without a gap. None: entries count on this machine only."""
    keys_file: Path | None = None
    """A file with the keys themselves, read again when it changes. This or `keys`, not both."""
    expires_s: Annotated[float, seconds("1s", "1d")] = Field(default=300.0, alias="expires")
    """Seconds until an entry is worth nothing. Clocks of two machines may differ by less than this."""
    max_hops: Annotated[int, count(1, 1024)] = 64
    """Longest path kept in an entry."""

    @field_validator("keys_file", mode="before")
    @classmethod
    def _resolved(cls, value: Any, info: ValidationInfo) -> Path:
        return base_of(info) / text_of(value, "the path of a file")

    @model_validator(mode="after")
    def _one_place(self) -> LineageSettings:
        if self.keys and self.keys_file is not None:
            raise BadValue("keys or keys_file, not both", "both of them")
        return self

    def read_keys(self, environ: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
        """(id, secret) of each key as it is now; the first one signs. ConfigError where one cannot be used."""
        if self.keys_file is not None:
            return read_keys_file(self.keys_file)
        return tuple((key.id, key.read(environ)) for key in self.keys)

    @property
    def files(self) -> tuple[Path | None, ...]:
        """What `read_keys` opens."""
        return self.keys_file, *(key.secret_file for key in self.keys)

    @field_validator("keys")
    @classmethod
    def _unique(cls, keys: tuple[LineageKey, ...]) -> tuple[LineageKey, ...]:
        refuse_repeated([key.id for key in keys], "id")
        return keys
