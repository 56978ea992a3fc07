"""Which method names may become labels. A caller chooses the name it sends, so an unknown one may not make a series."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sidecar.telemetry.names import OTHER_METHOD


def _nothing_is_described(_method: str) -> bool:
    return False


class KnownMethods:
    """Methods that descriptors describe, the configuration names, or a callee answered with OK.

    `is_described` is asked with the slash (`/pkg.Service/Method`) each time, for descriptors may arrive later by
    reflection. At most `limit` other names are kept, so that a callee that answers everything with OK costs no memory.
    """

    def __init__(self, is_described: Callable[[str], bool] = _nothing_is_described, limit: int = 500) -> None:
        self._is_described = is_described
        self._limit = limit
        self._names: dict[str, str] = {}

    def name(self, method: str) -> str:
        """`pkg.Service/Method`, or `_OTHER`."""
        known = self._names.get(method)
        if known is not None:
            return known
        if not self._is_described(method):
            return OTHER_METHOD
        self._add(method)
        return bare(method)

    def configure(self, methods: Iterable[str]) -> None:
        """Full names without wildcards that the configuration or a spec spells out."""
        for method in methods:
            self._add(method)

    def succeeded(self, method: str) -> None:
        """The callee answered OK: it has this method."""
        self._add(method)

    def _add(self, method: str) -> None:
        if len(self._names) < self._limit:
            self._names.setdefault(method, bare(method))


def bare(method: str) -> str:
    """OpenTelemetry writes a full method name without its leading slash."""
    return method.removeprefix("/")
