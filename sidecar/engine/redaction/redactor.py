"""The redactor: documents and texts in, the same with masks out. What came in is never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from jsonpath_rfc9535.exceptions import JSONPathError

from sidecar.engine.message import JSON
from sidecar.engine.redaction.detectors import CARD, CARD_DIGITS, DETECTORS, is_card
from sidecar.engine.specs.glob import glob_matches
from sidecar.engine.specs.path import MAX_MATCHES, Path

MASK: Final = "[redacted]"
UNREAD: Final = "[redacted:unread]"
"""Stands for what was too deep, too large or too much to look at."""

DEPTH_MAX: Final = 64
VALUES_MAX: Final = 50_000
"""Values of one document that are looked at."""
CHARS_MAX: Final = 2 << 20
"""Characters of all its texts together."""

CACHED_CHARS: Final = 256
"""Texts up to this length are remembered: ids and sentences come again."""

DEFAULT_KEYS: Final = (
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*secret*",
    "*apikey*",
    "*accesskey*",
    "*privatekey*",
    "*credential*",
    "authorization",
    "proxyauthorization",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "sessiontoken",
    "bearertoken",
    "cookie",
    "setcookie",
    "cvv",
    "cvc",
    "pin",
)
"""Names of fields that hold credentials, whoever wrote the schema. Compared without case, `_`, `-`, `.` and spaces."""

_FILLER: Final = re.compile(r"[\s_.-]")
_MASKS: Final = re.compile(r"\[redacted[:a-z]*\]")
"""What was masked before says what it was, and that is no name of a field."""
_HEX_ID: Final = re.compile("(?=[0-9-]*[a-f])[0-9a-f-]{16,64}")
"""An id, such as a UUID (RFC 9562), holds no secret, although some of its digits may look like a card's number."""


class Redactor:
    """Masks by paths, by names of fields and by detectors. It can be asked on any thread."""

    def __init__(
        self,
        *,
        paths: Iterable[Path] = (),
        keys: Iterable[str] = DEFAULT_KEYS,
        detectors: Iterable[str] = tuple(DETECTORS),
    ) -> None:
        """`keys` are names or globs; `detectors` are names of DETECTORS."""
        wanted = frozenset(detectors)
        self._paths = tuple(paths)
        self._keys = tuple(plain_key(key) for key in keys)
        self._detectors = tuple(detect for name, detect in DETECTORS.items() if name in wanted)
        self._finds_cards = "cards" in wanted
        self._remembered = lru_cache(maxsize=4096)(self._detected)
        self._is_masked_key = lru_cache(maxsize=4096)(self._matches_key)

    def text(self, text: str) -> str:
        """The text with a mask for whatever a detector finds."""
        return self._remembered(text) if len(text) <= CACHED_CHARS else self._long(text)

    def document(self, document: JSON, paths: Sequence[Path] = ()) -> JSON:
        """A masked copy. `paths` come on top of those that are masked in every document."""
        places = self._places(document, (*self._paths, *paths))
        return UNREAD if places is None else Walk(self).copy(document, places, 0)

    def number(self, number: int) -> JSON:
        """A card's number may have been sent as one."""
        if self._finds_cards and number >= 10 ** (CARD_DIGITS.start - 1) and is_card(str(number)[: CARD_DIGITS.stop]):
            return CARD
        return number

    def has_masked_name(self, key: str) -> bool:
        return self._is_masked_key(key) if len(key) <= CACHED_CHARS else self._matches_key(key)

    def _detected(self, text: str) -> str:
        if _HEX_ID.fullmatch(text):
            return text
        for detect in self._detectors:
            text = detect(text)
        return text

    def _long(self, text: str) -> str:
        return self._detected(text) if len(text) <= CHARS_MAX else UNREAD

    def _matches_key(self, key: str) -> bool:
        plain = plain_key(_MASKS.sub("", key))
        return any(glob_matches(wanted, plain) for wanted in self._keys)

    def _places(self, document: JSON, paths: Iterable[Path]) -> Places | None:
        """Where paths lead, as a tree of keys. None where not every place could be found: then nothing is shown."""
        root: Places = {}
        for path in paths:
            try:
                found = path.select(document)
            except JSONPathError:
                return None
            if len(found) >= MAX_MATCHES:
                return None
            for keys, _ in found:
                if not keys:
                    return {_HERE: {}}
                place = root
                for key in keys:
                    place = place.setdefault(key, {})
                place[_HERE] = {}
        return root


_HERE: Final[Any] = object()
"""In a tree of places: this one is masked."""

Places = dict[Any, Any]
_NOWHERE: Final[Places] = {}


class Walk:
    """One document under way."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._values = VALUES_MAX
        self._chars = CHARS_MAX

    def copy(self, value: JSON, places: Places, depth: int) -> JSON:
        self._values -= 1
        if _HERE in places:
            return MASK
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool | float) or value is None:
            return self._fraction(value)
        if isinstance(value, int):
            return self._redactor.number(value)
        if depth >= DEPTH_MAX or self._values < 0:
            return UNREAD
        if isinstance(value, Mapping):
            return self._mapping(value, places, depth)
        if isinstance(value, Sequence):
            return [self.copy(each, places.get(at, _NOWHERE), depth + 1) for at, each in self._items(value)]
        return UNREAD

    def _mapping(self, value: Mapping[Any, JSON], places: Places, depth: int) -> JSON:
        copied: dict[str, JSON] = {}
        for key, each in value.items():
            if self._values < 0:
                copied[UNREAD] = len(value) - len(copied)
                break
            name = self._name(str(key), copied)
            if self._redactor.has_masked_name(str(key)) and each not in (None, "", True, False):
                self._values -= 1
                copied[name] = MASK
            else:
                copied[name] = self.copy(each, places.get(key, _NOWHERE), depth + 1)
        return copied

    def _name(self, key: str, taken: Mapping[str, JSON]) -> str:
        """A key may be a secret as well; two that look the same behind their masks both stay."""
        name = plain = self._text(key)
        count = 1
        while name != key and name in taken:
            count += 1
            name = f"{plain}#{count}"
        return name

    def _items(self, value: Sequence[JSON]) -> Iterable[tuple[int, JSON]]:
        for at, each in enumerate(value):
            if self._values < 0:
                yield at, UNREAD
                return
            yield at, each

    def _text(self, text: str) -> str:
        self._chars -= len(text)
        return self._redactor.text(text) if self._chars >= 0 else UNREAD

    def _fraction(self, value: JSON) -> JSON:
        """JSON knows one kind of number: 4111111111111111.0 is a card's number too."""
        is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e20
        masked = self._redactor.number(int(value)) if is_whole else value
        return masked if isinstance(masked, str) else value


def plain_key(key: str) -> str:
    return _FILLER.sub("", key).lower()
