"""Pages: a list a part at a time, in an order that stays while it is read."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sidecar.admin.problem import invalid

Item = TypeVar("Item")
Mark = tuple[Any, ...]
"""Where an item stands in its list. Items are in rising order of their marks."""

SIZE: Final = 50
SIZE_MAX: Final = 500
TOKEN_CHARS_MAX: Final = 4096


def page(items: Sequence[Item], mark: Callable[[Item], Mark], request: Any) -> tuple[list[Item], str]:
    """The part of `items` that a request asks for, and the token of the next one; empty after the last.

    A token holds the mark of the last item shown, so what comes and goes in between neither repeats nor hides others.
    What moves to the front of a list by when things were seen stands on its first page again.
    """
    size, after = size_of(request), after_of(request)
    ordered = sorted(items, key=mark)
    rest = ordered if after is None else [item for item in ordered if follows(mark(item), after)]
    shown = rest[:size]
    return shown, token_of(request, mark(shown[-1])) if len(rest) > size else ""


def size_of(request: Any) -> int:
    size: int = request.page_size
    if not 0 <= size <= SIZE_MAX:
        raise invalid("page_size", f"1 to {SIZE_MAX}, or 0 for {SIZE}; found {size}")
    return size or SIZE


def after_of(request: Any) -> Mark | None:
    token: str = request.page_token
    if not token:
        return None
    try:
        if len(token) > TOKEN_CHARS_MAX:
            raise ValueError
        whose, *found = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
        if whose != list_of(request) or not all(isinstance(each, (str, int)) for each in found):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise invalid("page_token", "empty, or the next_page_token of the page before") from None
    return tuple(found)


def follows(mark: Mark, after: Mark) -> bool:
    try:
        return mark > after
    except TypeError:  # a mark that was tampered with
        raise invalid("page_token", "empty, or the next_page_token of the page before") from None


def token_of(request: Any, mark: Mark) -> str:
    return base64.urlsafe_b64encode(json.dumps([list_of(request), *mark]).encode()).decode()


def list_of(request: Any) -> str:
    """Which list a token is of."""
    return str(request.DESCRIPTOR.name)
