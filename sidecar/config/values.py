"""Values: what may stand at one key. A reader turns it into one exact thing, or raises BadValue with what is allowed.

The types at the end are what sections are made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from sidecar.units import ADDRESS_FORM, Address, BadValue, matching, parse_address, text_of

ANY_INTERFACE = "0.0.0.0"  # noqa: S104 - what `listen: :50051` asks for
LOOPBACK = "127.0.0.1"
MAX_ENTRIES = 64
"""Most routes, verifiers, budgets, keys, spec paths and descriptor sources: a limit on everything."""
MAX_NAMES = 1024
"""Most agents that certificates can be told to name."""


def base_of(info: ValidationInfo) -> Path:
    """The folder that relative paths start from: the file's own."""
    return info.context if isinstance(info.context, Path) else Path()


def read_listen(value: Any, info: ValidationInfo) -> Address:
    text = text_of(value, ADDRESS_FORM)
    return parse_address(text, default_host=ANY_INTERFACE, lowest_port=0, base=base_of(info))


def read_local_listen(value: Any, info: ValidationInfo) -> Address:
    text = text_of(value, ADDRESS_FORM)
    address = parse_address(text, default_host=LOOPBACK, lowest_port=0, base=base_of(info))
    if not address.host:
        raise BadValue("host:port or :port")
    return address


def read_admin_listen(value: Any, info: ValidationInfo) -> Address:
    """A TCP address, or a unix socket: there the right to open a file is the credential."""
    text = text_of(value, ADDRESS_FORM)
    return parse_address(text, default_host=LOOPBACK, lowest_port=0, base=base_of(info))


def read_upstream(value: Any, info: ValidationInfo) -> Address:
    return parse_address(text_of(value, ADDRESS_FORM), default_host=LOOPBACK, base=base_of(info))


def read_path(value: Any, info: ValidationInfo) -> Path:
    """A path that exists."""
    path = base_of(info) / text_of(value, "a path")
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise BadValue(f"a file or folder that exists ({start_of_paths(info)})")
    return path


def start_of_paths(info: ValidationInfo) -> str:
    """For messages. The path itself is not repeated there, because a variable may be part of it."""
    return f"relative paths start at {base_of(info)}"


def read_file(value: Any, info: ValidationInfo) -> Path:
    """A file that can be opened now. It is opened, since permission bits alone do not tell."""
    path = base_of(info) / text_of(value, "the path of a file")
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no valid path"
        raise BadValue(f"a file that can be read ({why}; {start_of_paths(info)})") from error
    return path


def read_url(value: Any) -> str:
    allowed = "a URL: http://host:port or https://host:port"
    text = text_of(value, allowed)
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise BadValue(allowed)
    return text


def redacted(text: str) -> str:
    """The text without what stands between a colon and an `@`, as in `redis://user:password@host`."""
    return re.sub(r"(:/*)\S*@", r"\1***@", text)


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue("true or false")
    return value


def entries(low: int = 0) -> BeforeValidator:
    """A field type's check: a list, not too short and not too long."""

    def read(value: Any) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise BadValue("a list: [one, two]")
        if not low <= len(value) <= MAX_ENTRIES:
            raise BadValue(f"{low} to {MAX_ENTRIES} entries", f"{len(value)} entries")
        return value

    return BeforeValidator(read)


def read_names(value: Any) -> Any:
    """A mapping, of which there is a limit as of everything."""
    if not isinstance(value, Mapping):
        raise BadValue("a mapping: {spiffe://example.org/planner: planner}")
    if len(value) > MAX_NAMES:
        raise BadValue(f"at most {MAX_NAMES} entries", f"{len(value)} entries")
    return value


def absent_if_false(value: Any) -> Any:
    """`metrics: false` turns a section off. `metrics:` with nothing below it is no answer, so it is a mistake."""
    if value is False:
        return None
    if not isinstance(value, Mapping):
        raise BadValue("a mapping, or false to turn it off")
    return value


AgentName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}",
        "a name of 1 to 255 letters, digits, and . _ : / @ -, beginning with a letter or digit",
    ),
]
"""Wide enough for a SPIFFE id (at most 2,048 bytes there; longer ones make poor labels)."""
PlainName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "a name of 1 to 64 letters, digits, and . _ -, beginning with a letter or digit",
    ),
]
NameGlob = Annotated[
    str,
    matching(
        r"[A-Za-z0-9._:/@*?$-]{1,255}",
        "a name or glob of 1 to 255 letters, digits, and . _ : / @ $ -, with * for any characters and ? for one",
    ),
]
"""Agents and methods; matched by `engine.specs.glob`, as in specs."""
ModelName = Annotated[str, matching(r"[!-~]{1,128}", "1 to 128 printable ASCII characters without spaces")]
CertificateName = Annotated[str, matching(r"[!-~]{1,2048}", "1 to 2048 printable ASCII characters without spaces")]
HostName = Annotated[str, matching(r"[!-~]{1,255}", "1 to 255 printable ASCII characters without spaces")]
Flag = Annotated[bool, BeforeValidator(read_flag)]
ReadableFile = Annotated[Path, BeforeValidator(read_file)]
ExistingPath = Annotated[Path, BeforeValidator(read_path)]
ListenAddress = Annotated[Address, BeforeValidator(read_listen)]
LocalListenAddress = Annotated[Address, BeforeValidator(read_local_listen)]
UpstreamAddress = Annotated[Address, BeforeValidator(read_upstream)]
