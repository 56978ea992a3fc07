"""Units of measure: which words name the same unit, and how units of one dimension convert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Unit:
    """base = value * factor + offset, in the dimension's base unit (SI where there is one)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0


_TABLE = (
    ("percent", 1, "% percent percentage"),
    ("length", 1000, "km kilometre kilometer kms"),
    ("length", 1, "m metre meter"),
    ("length", 0.01, "cm centimetre centimeter"),
    ("length", 0.001, "mm millimetre millimeter"),
    ("length", 1609.344, "mi mile"),
    ("length", 0.3048, "ft foot feet"),
    ("length", 0.0254, "inch inches"),
    ("mass", 1, "kg kilogram kilo"),
    ("mass", 0.001, "g gram"),
    ("mass", 0.000001, "mg milligram"),
    ("mass", 0.000000001, "µg mcg microgram"),
    ("mass", 1000, "tonne"),
    ("mass", 0.45359237, "lb lbs pound-mass"),
    ("volume", 1, "l litre liter"),
    ("volume", 0.001, "ml millilitre milliliter"),
    ("volume", 3.785411784, "gallon"),
    ("time", 1, "second sec"),
    ("time", 0.001, "ms millisecond"),
    ("time", 60, "minute min mins"),
    ("time", 3600, "hour h hr hrs"),
    ("time", 86400, "day"),
    ("time", 604800, "week"),
    ("time", 2629746, "month"),
    ("time", 31556952, "year yr yrs"),
    ("data", 1, "byte"),
    ("data", 1e3, "kb kilobyte"),
    ("data", 1e6, "mb megabyte"),
    ("data", 1e9, "gb gigabyte"),
    ("data", 1e12, "tb terabyte"),
    ("power", 1, "watt"),
    ("power", 1e3, "kw kilowatt"),
    ("power", 1e6, "mw megawatt"),
    ("power", 1e9, "gw gigawatt"),
    ("energy", 1e3, "kwh"),
    ("energy", 1e6, "mwh"),
    ("energy", 1e9, "gwh"),
    ("area", 1, "m² m2"),
    ("area", 1e6, "km² km2"),
    ("area", 1e4, "ha hectare"),
    ("area", 4046.8564224, "acre"),
    ("speed", 1, "km/h kph kmh"),
    ("speed", 1.609344, "mph"),
    ("USD", 1, "$ usd dollar"),
    ("EUR", 1, "€ eur euro"),
    ("GBP", 1, "£ gbp"),
    ("JPY", 1, "¥ jpy yen"),
)

_NAMES: dict[str, Unit] = {"°c": Unit("temperature"), "°f": Unit("temperature", 5 / 9, -160 / 9)}
_NAMES.update({name: Unit(dimension, factor) for dimension, factor, names in _TABLE for name in names.split()})
UNITS: Mapping[str, Unit] = MappingProxyType(_NAMES)


def find(word: str) -> Unit | None:
    """The unit that a word or sign names, in singular or plural."""
    word = word.lower()
    return UNITS.get(word) or (UNITS.get(word[:-1]) if word.endswith("s") and len(word) > 3 else None)
