"""Personal data, judged only where a parameter asks for it: most agents handle addresses for a living."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.secrets.suspect import Suspect

_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9](?:[\w.+-]{0,62}\w)?@(?P<host>(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})(?![\w-])"
)
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net)|example|test|invalid|localhost)$", re.IGNORECASE)
"""RFC 2606: no person has an address there."""
_OFFICE = re.compile(
    r"(?:no-?reply|info|support|sales|hello|contact|help|admin|office|press|privacy|security|team|billing)@",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?<![\w+.-])(?:\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}|\(\d{3}\)"
    r" ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?![\w-]|\.\d)"
)
_FICTION = re.compile(r"555\D?01\d\d$")
"""Set aside for films and manuals by the North American Numbering Plan."""
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)")
_SSN_EXAMPLES = frozenset(("078-05-1120", "219-09-9999", "123-45-6789"))


def emails(text: str) -> Iterator[Suspect]:
    for found in _EMAIL.finditer(text):
        if not _RESERVED.search(found["host"]) and not _OFFICE.match(found[0]):
            yield Suspect("email", "a personal e-mail address", found[0], tail=0)


def phones(text: str) -> Iterator[Suspect]:
    """International numbers (E.164: at most 15 digits) and those written the North American way."""
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if 9 <= len(digits) <= 15 and not _FICTION.search(found[0]) and len(set(digits)) > 2:
            yield Suspect("phone", "a telephone number", digits)


def social_security_numbers(text: str) -> Iterator[Suspect]:
    """By shape and by the ranges that were never given out; there is no check digit."""
    for found in _SSN.finditer(text):
        if found[0] not in _SSN_EXAMPLES:
            yield Suspect("ssn", "a US social security number", found[0])
