"""Declaring: a spec's blocks beside `request` and `response`, from data in the shape of the format to promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from sidecar.engine.exchange import Mode
from sidecar.engine.specs.duration import parse_duration
from sidecar.engine.specs.flaws import BrokenValue, Flaw
from sidecar.engine.specs.machines import A2A, MACHINES, Machine, declared, table_flaws
from sidecar.engine.specs.path import Path
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.promises import (
    ContentTerms,
    CostTerms,
    Idempotency,
    PanelTerms,
    ReadTerms,
    ResourceTerms,
    TaskTerms,
)
from sidecar.engine.specs.sentences import quoted, shown

Value = TypeVar("Value")
Data = Mapping[str, Any]

MICRO_USD = 1_000_000


@dataclass(frozen=True, slots=True)
class Declarer:
    """Reads what it can and writes down the rest."""

    flaws: list[Flaw]

    def read(self, parse: Callable[[Any], Value], value: Any, keys: Keys) -> Value | None:
        """The parsed value; None after a flaw."""
        try:
            return parse(value)
        except BrokenValue as error:
            self.flaws.append(Flaw(keys, error.found, error.allowed))
            return None

    def deadline(self, data: Data) -> float | None:
        return self.read(parse_duration, data["deadline"], ("deadline",)) if "deadline" in data else None

    def idempotency(self, data: Data) -> Idempotency:
        said = self._given(data, "idempotency", {"key": Path, "retain": parse_duration})
        if "retain" in said:
            said["retain_s"] = said.pop("retain")
        return Idempotency(**said, **picked(data, "duplicates"))

    def reads(self, data: Data) -> ReadTerms:
        if data.get("across_callers") and not data.get("single_flight"):
            self.flaws.append(
                Flaw(("reads", "across_callers"), "true without single_flight", "single_flight: true too")
            )
        return ReadTerms(**picked(data, "single_flight", "across_callers"))

    def task(self, data: Data) -> TaskTerms:
        said = self._given(data, "task", {"id": Path, "state": Path})
        return TaskTerms(**said, machine=self._machine(data.get("machine", A2A.name)))

    def resource(self, data: Data) -> ResourceTerms | None:
        said = self._given(data, "resource", {"key": Path, "version": Path})
        return ResourceTerms(**said, **picked(data, "name", "writes", "owner")) if "key" in said else None

    def cost(self, data: Data) -> CostTerms:
        said = self._given(data, "cost", dict.fromkeys(("model", "input_tokens", "output_tokens"), Path))
        estimate = None
        if "estimate_usd" in data:
            estimate = self.read(micro_usd, data["estimate_usd"], ("cost", "estimate_usd"))
        return CostTerms(**said, estimate_micro_usd=estimate)

    def content(self, data: Data) -> ContentTerms:
        read = (self.read(Path, text, ("content", "redact", at)) for at, text in enumerate(data.get("redact", ())))
        paths = tuple(path for path in read if path is not None)
        return ContentTerms(redact=paths, **picked(data, "journal", "verifiers"))

    def panel(self, data: Data) -> PanelTerms:
        require = tuple(data["require"])
        self.flaws.extend(panel_flaws(data, require))
        said = self._given(data, "verifiers", {"timeout": parse_duration})
        if "timeout" in said:
            said["timeout_s"] = said.pop("timeout")
        return PanelTerms(
            require,
            data.get("quorum", len(require)),
            Mode(data["mode"]) if "mode" in data else None,
            parameters=frozen(data.get("parameters", {})),
            **said,
            **picked(data, "when", "sample", "on_fail"),
        )

    def _given(self, data: Data, block: str, parsers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
        """The entries that are there and sound."""
        given = ((name, self.read(parse, data[name], (block, name))) for name, parse in parsers.items() if name in data)
        return {name: value for name, value in given if value is not None}

    def _machine(self, data: str | Data) -> Machine:
        if isinstance(data, str):
            return MACHINES[data]
        rows = {state: frozenset(following) for state, following in data["transitions"].items()}
        initial = data["initial"] if isinstance(data["initial"], list) else [data["initial"]]
        machine = declared(frozenset(initial), rows, frozenset(data.get("terminal", ())))
        for key, found, allowed in table_flaws(machine, rows):
            self.flaws.append(Flaw(("task", "machine", key), found, allowed))
        return machine


def panel_flaws(data: Data, require: tuple[str, ...]) -> Iterator[Flaw]:
    if data.get("quorum", 1) > len(require):
        allowed = f"at most the {len(require)} that `require` names"
        yield Flaw(("verifiers", "quorum"), shown(data["quorum"]), allowed)
    if data.get("on_fail") == "quarantine" and data.get("when") != "after":
        allowed = "report; or `when: after`, because a fail that comes inline refuses the answer itself"
        yield Flaw(("verifiers", "on_fail"), "quarantine without `when: after`", allowed)
    for name in data.get("parameters", {}):
        if name not in require:
            yield Flaw(("verifiers", "parameters", name), quoted(name), f"one of {', '.join(require)}")


def frozen(parameters: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    return MappingProxyType({name: MappingProxyType(dict(values)) for name, values in parameters.items()})


def picked(data: Data, *names: str) -> dict[str, Any]:
    """What needs no reading. The rest is left to the defaults."""
    return {name: data[name] for name in names if name in data}


def micro_usd(dollars: float) -> int:
    """Whole micro-USD. The shortest spelling of a YAML number is as written, so the product is exact."""
    amount = Decimal(str(dollars)) * MICRO_USD
    if amount != int(amount):
        raise BrokenValue(shown(dollars), "US dollars with at most six decimals")
    return int(amount)
