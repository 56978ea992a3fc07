"""Credentials that are known by their shape, which the library does not know or knows too loosely."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifiers.secrets.placeholder import is_placeholder, is_random
from verifiers.secrets.suspect import Suspect


@dataclass(frozen=True, slots=True)
class Shape:
    rule: str
    kind: str
    pattern: re.Pattern[str]


_START, _END = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])"
SHAPES = tuple(
    Shape(rule, kind, re.compile(_START + pattern + _END))
    for rule, kind, pattern in (
        ("github-token", "a GitHub token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        ("anthropic-key", "an Anthropic key", r"sk-ant-[A-Za-z0-9_-]{20,200}"),
        ("openai-key", "an OpenAI key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,200}"),
        ("google-key", "a Google API key", r"AIza[A-Za-z0-9_-]{35}"),
        ("huggingface-token", "a Hugging Face token", r"hf_[A-Za-z0-9]{34}"),
        ("npm-token", "an npm token", r"npm_[A-Za-z0-9]{36}"),
        ("digitalocean-token", "a DigitalOcean token", r"do[opr]_v1_[a-f0-9]{64}"),
        ("shopify-token", "a Shopify token", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    )
)

_JWT = re.compile(
    _START + r"(?P<head>eyJ[A-Za-z0-9_-]{8,2000})\.(?P<claims>eyJ[A-Za-z0-9_-]{4,8000})\.[A-Za-z0-9_-]{16,2000}" + _END
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]|[A-Za-z0-9-]{1,20}:"
    r" [^\n]{0,80}\n){0,12}(?P<body>[A-Za-z0-9+/=\s\\]{40})"
)
_BEARER = re.compile(
    r"(?<!\w)(?:bearer|authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?token)\s{1,3}(?P<value>[A-Za-z0-9._~+/=-]{16,2000})",
    re.IGNORECASE,
)
_BASIC = re.compile(
    r"(?<!\w)authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?basic\s{1,3}(?P<value>[A-Za-z0-9+/]{8,500}={0,2})",
    re.IGNORECASE,
)
_MANUAL = "1234567890"
"""The subject of the token that every JWT manual shows."""


def shapes(text: str) -> Iterator[Suspect]:
    for shape in SHAPES:
        for found in shape.pattern.finditer(text):
            if not is_placeholder(found[0]) and is_random(found[0], 3.2):
                yield Suspect(shape.rule, shape.kind, found[0])


def jwts(text: str) -> Iterator[Suspect]:
    """Three parts, of which the first two decode to objects and the first names its algorithm (RFC 7519)."""
    for found in _JWT.finditer(text):
        head, claims = _decoded(found["head"]), _decoded(found["claims"])
        if "alg" in head and claims and claims.get("sub") != _MANUAL:
            yield Suspect("jwt", "a JSON Web Token", found[0])


def _decoded(part: str) -> dict[str, object]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def private_keys(text: str) -> Iterator[Suspect]:
    """A header with key material after it. The header alone is what manuals show."""
    for found in _PRIVATE_KEY.finditer(text):
        if not is_placeholder(re.sub(r"\\[nr]|\s", "", found["body"])):
            yield Suspect("private-key", "a private key", found["body"], tail=0)


def bearers(text: str) -> Iterator[Suspect]:
    for found in _BEARER.finditer(text):
        if not is_placeholder(found["value"]) and is_random(found["value"], 3.3):
            yield Suspect("bearer-token", "a bearer token", found["value"])


def basics(text: str) -> Iterator[Suspect]:
    """Base 64 of a name and a password (RFC 7617)."""
    for found in _BASIC.finditer(text):
        name, colon, password = _unpacked(found["value"]).partition(":")
        if name and colon and len(password) >= 3 and not is_placeholder(password):
            yield Suspect("basic-auth", "a name and password", found["value"], tail=0)


def _unpacked(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
