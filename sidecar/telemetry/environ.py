"""Reads OTEL_* variables as the OpenTelemetry specification says, and collects every mistake instead of guessing.

The specification: an empty value is as good as unset, booleans are true only for `true` in any case, durations and
time-outs are whole milliseconds, enumerations are compared in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.errors import ConfigError, Mistake


class Environ:
    """One look at the environment. Ask for what is needed, then call `refuse_mistakes`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.mistakes: list[Mistake] = []

    def text(self, *names: str) -> str:
        """The first of `names` that is set, else empty."""
        return next((value for name in names if (value := self._value(name))), "")

    def is_true(self, name: str) -> bool:
        return self._value(name).lower() == "true"

    def one_of(self, allowed: Sequence[str], *names: str) -> str:
        """The first of `names` that is set, in lower case; empty where none is or the value is a mistake."""
        name = self._first(names)
        value = self._value(name).lower()
        if value and value not in allowed:
            self.mistake(name, repr(value), ", ".join(allowed))
            return ""
        return value

    def whole(self, minimum: int, *names: str) -> int | None:
        """The first of `names` that is set, as a whole number; None where none is or the value is a mistake."""
        name = self._first(names)
        value = self._value(name)
        if not value:
            return None
        try:
            number = int(value)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            self.mistake(name, repr(value), f"a whole number, at least {minimum}")
            return None
        return number

    def seconds(self, *names: str) -> float | None:
        """Milliseconds in the variable, seconds out."""
        milliseconds = self.whole(1, *names)
        return None if milliseconds is None else milliseconds / 1000

    def ratio(self, name: str) -> float | None:
        value = self._value(name)
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.mistake(name, repr(value), "a number from 0 to 1")
            return None
        return number

    def mistake(self, where: str, found: str, allowed: str) -> None:
        self.mistakes.append(Mistake(where, found, allowed))

    def refuse_mistakes(self) -> None:
        """Raise ConfigError with everything that was wrong, if anything was."""
        if self.mistakes:
            raise ConfigError(self.mistakes)

    def _first(self, names: Sequence[str]) -> str:
        return next((name for name in names if self._value(name)), names[0])

    def _value(self, name: str) -> str:
        return self._variables.get(name, "").strip()
