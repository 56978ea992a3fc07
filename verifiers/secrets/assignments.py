"""Passwords and keys beside the name that says what they are: `password = ...`, `postgres://app:...@db`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.secrets.placeholder import is_placeholder, is_prose, is_random
from verifiers.secrets.suspect import Suspect

_ASSIGNMENT = re.compile(
    r"(?P<name>passw(?:or)?d|passphrase|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|(?:api|access|auth|signing"
    r"|encryption|account|private)[_-]?key)"
    r"(?:[\"']?\s{0,3}(?:=>|:=|=|:)\s{0,3}| is )(?P<quote>[\"'`]?)(?P<value>[^\s\"'`;,<>(){}\[\]]{8,200})",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"(?:page|next|prev|previous|idempotency|sync|continuation|cursor|cancel|cancellation|public|design|stop"
    r"|start|end|pad|eos|bos|csrf|per)[_ -]?$",
    re.IGNORECASE,
)
"""Before the name: tokens that open nothing."""
_CONNECTION = re.compile(
    r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}://(?P<user>[^\s:/@\"'<>]{0,64}):(?P<value>[^\s/@\"'<>]{3,128})@[\w.-]{1,253}",
    re.IGNORECASE,
)
_DEFAULTS = "password pass secret user guest root admin postgres mysql rabbitmq minioadmin test"
_WEAK = frozenset(_DEFAULTS.split())
"""Defaults of freshly unpacked servers, in every manual."""


def assignments(text: str) -> Iterator[Suspect]:
    for found in _ASSIGNMENT.finditer(text):
        value = found["value"].rstrip(".:!?")
        before = text[max(0, found.start() - 16) : found.start()]
        if not _HARMLESS.search(before) and _is_secret(found["name"].lower(), value):
            yield Suspect("assigned-secret", f"a value that is assigned as a {found['name'].lower()}", value)


def _is_secret(name: str, value: str) -> bool:
    if is_placeholder(value) or is_prose(value):
        return False
    if name.startswith(("passw", "pwd", "passphrase")):
        return len(value) >= 8 and _classes(value) >= 2 and is_random(value, 2.5)
    return len(value) >= 16 and is_random(value, 3.3)


def _classes(value: str) -> int:
    kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    return sum(any(is_kind(char) for char in value) for is_kind in kinds)


def connections(text: str) -> Iterator[Suspect]:
    """A URL with a password in it (RFC 3986, section 3.2.1)."""
    for found in _CONNECTION.finditer(text):
        value = found["value"]
        if not is_placeholder(value) and value.lower() not in _WEAK and value != found["user"]:
            yield Suspect("connection-string", "a password in a URL", value)
