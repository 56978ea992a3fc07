"""Modes in effect: what the configuration says, and what an operator has put in its place.

An exchange is given them when it starts and keeps them to its end. Levels combine by the weakest, so an operator may
weaken any level at once; one that is made stronger still waits for all others to enforce. A check has no mode of its
own in the tree (its parts have), so it can only be weakened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sidecar.engine.exchange import Mode, Route, weakest


class Modes:
    """The modes of one process: of routes and of checks."""

    def __init__(self, root: Mode = Mode.OBSERVE, own: Mapping[str, Mode | None] | None = None) -> None:
        """`own` is what each route says itself, by its name; None where it leaves that to the root."""
        self.configured_root = root
        self.configured_routes = dict(own or {})
        self.observed_checks: frozenset[str] = frozenset()
        """Checks that an operator has put into observe."""
        self._root: Mode | None = None
        self._routes: Mapping[str, Mode] = {}
        self._is_changed = False
        self._made: dict[tuple[Route, Mode], Route] = {}

    @property
    def root(self) -> Mode:
        return self._root or self.configured_root

    def of_route(self, name: str) -> Mode:
        """In effect on a route: the weaker of the root's mode and its own."""
        return weakest(self.root, self._routes.get(name) or self.configured_routes.get(name))

    def route(self, route: Route) -> Route:
        """The route as it is in effect. The same one where nothing was changed."""
        if not self._is_changed or route.name not in self.configured_routes:
            return route
        mode = self.of_route(route.name)
        if mode is route.mode:
            return route
        return self._made.setdefault((route, mode), replace(route, mode=mode))

    def change(self, root: Mode | None, routes: Mapping[str, Mode], observed_checks: Iterable[str]) -> None:
        """What an operator has put in place of the configured ones, all of it."""
        self._root, self._routes = root, dict(routes)
        self.observed_checks = frozenset(observed_checks)
        self._is_changed = root is not None or bool(routes)
