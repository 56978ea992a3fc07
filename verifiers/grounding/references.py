"""References: URLs, DOIs, arXiv ids, ISBNs, UUIDs, hashes, tickets, e-mail addresses and versions. All are exact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TRAILING = ".,;:!?)]}>'\"”\u2019*_`|"


@dataclass(frozen=True, slots=True)
class Reference:
    start: int
    end: int
    token: str
    kind: str
    """`url` or `identifier`."""
    key: str
    """What must be the same: case, scheme, `www.`, separators and a closing slash do not count."""


_URL = re.compile(r"(?:https?://|(?<![\w@.])www\.)[^\s<>\"”“|`]{1,2000}", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![\w@./-])(?:[a-z0-9-]{1,63}\.){1,4}(?:com|org|net|edu|gov|int|io|dev|eu|uk|de|fr|ch)/[^\s<>\"”“|`]{1,500}",
    re.IGNORECASE,
)
_DOI = re.compile(r"(?<![\w/.])(?:doi:\s?)?10\.\d{4,9}/[^\s<>\"”“|`]{1,200}", re.IGNORECASE)
_ARXIV = re.compile(r"\barxiv:\s?\d{4}\.\d{4,5}(?:v\d{1,2})?", re.IGNORECASE)
_ISBN = re.compile(r"\bISBN(?:-1[03])?:?\s?[\d][\d -]{8,16}[\dXx]\b", re.IGNORECASE)
_UUID = re.compile(
    r"(?<![0-9a-f-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f-])", re.IGNORECASE
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,5}", re.IGNORECASE)
_TICKET = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]{1,9}(?:-[A-Z0-9]{1,10}){0,3}-\d{1,10}(?![\w])")
_HASH = re.compile(r"(?<![\w-])(?=[0-9a-f]{0,15}[a-f])(?=[a-f]{0,15}\d)[0-9a-f]{8,64}(?![\w-])")
_VERSION = re.compile(
    r"(?<![\w.])v?\d{1,5}(?:\.\d{1,5}){2,3}(?:-(?:rc|beta|alpha)\.?\d{1,3})?(?![\w.]\d)|(?<![\w.])v\d{1,4}(?:\.\d{1,4})?\b"
)
_IDENTIFIERS = (_DOI, _ARXIV, _ISBN, _UUID, _EMAIL, _TICKET, _HASH, _VERSION)


def read(text: str) -> tuple[list[Reference], str]:
    """The references of a text, and the text with spaces in their place: their digits are no figures."""
    found = []
    for pattern in (_URL, _BARE, *_IDENTIFIERS):
        fresh = [_reference(match, pattern in (_URL, _BARE)) for match in pattern.finditer(text)]
        found += fresh
        text = blank(text, [(reference.start, reference.end) for reference in fresh])
    return found, text


def _reference(match: re.Match[str], is_url: bool) -> Reference:
    token = _trim(match.group())
    end = match.start() + len(token)
    doi = re.search(r"10\.\d{4,9}/.*", token)
    kind = "url" if is_url and not (doi and "doi.org" in token) else "identifier"
    key = _url_key(token) if kind == "url" else _identifier_key(doi.group() if doi else token)
    return Reference(match.start(), end, token, kind, key)


def _trim(token: str) -> str:
    """Punctuation that closes the sentence or a Markdown link is not part of it, unless its bracket opened within."""
    while token and token[-1] in _TRAILING:
        if token[-1] == ")" and token.count("(") >= token.count(")"):
            break
        token = token[:-1]
    return token.split("](")[0]


def _url_key(token: str) -> str:
    bare = re.sub(r"^https?://", "", token.lower()).removeprefix("www.")
    return re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/")


def _identifier_key(token: str) -> str:
    token = re.sub(r"^(?:doi|arxiv|isbn(?:-1[03])?):?\s?", "", token.lower())
    return re.sub(r"[\s-]", "", re.sub(r"^v(?=\d)", "", token))


def blank(text: str, spans: list[tuple[int, int]]) -> str:
    """Spaces in place of the spans, so that every other offset stays true."""
    return "".join(_blanked(text, spans))


def _blanked(text: str, spans: list[tuple[int, int]]) -> Iterator[str]:
    at = 0
    for start, end in spans:
        if end > at:
            yield text[at:start]
            yield " " * (end - max(at, start))
            at = end
    yield text[at:]
