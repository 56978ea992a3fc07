"""Units of measure: which words name the same unit, and how units of one dimension convert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Unit:
    """base = value * factor + offset, in the dimension's base unit (SI where there is one)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0
    also: Unit | None = None
    """What the name means as well: a pound is money or a mass."""

    @property
    def is_currency(self) -> bool:
        return self.dimension in CURRENCIES

    def readings(self) -> tuple[Unit, ...]:
        return (self, self.also) if self.also else (self,)


_TABLE = (
    ("percent", 1, "% percent percentage"),
    ("length", 1000, "km kilometre kilometer kms"),
    ("length", 1, "m metre meter"),
    ("length", 0.01, "cm centimetre centimeter"),
    ("length", 0.001, "mm millimetre millimeter"),
    ("length", 1e-6, "µm micrometre micrometer micron"),
    ("length", 1e-9, "nm nanometre nanometer"),
    ("length", 1609.344, "mi mile"),
    ("length", 1852, "nauticalmile nmi"),
    ("length", 0.3048, "ft foot feet"),
    ("length", 0.0254, "inch inches"),
    ("length", 0.9144, "yd yard"),
    ("mass", 1, "kg kilogram kilo"),
    ("mass", 0.001, "g gram"),
    ("mass", 0.000001, "mg milligram"),
    ("mass", 0.000000001, "µg mcg microgram"),
    ("mass", 1000, "tonne t"),
    ("mass", 0.45359237, "lb lbs"),
    ("mass", 0.028349523125, "oz ounce"),
    ("volume", 1, "l litre liter"),
    ("volume", 0.01, "cl centilitre centiliter"),
    ("volume", 0.001, "ml millilitre milliliter"),
    ("volume", 3.785411784, "gallon"),
    ("volume", 1000, "m³ m3"),
    ("time", 1, "second sec s"),
    ("time", 0.001, "ms millisecond"),
    ("time", 0.000001, "µs microsecond"),
    ("time", 60, "minute min mins"),
    ("time", 3600, "hour h hr hrs"),
    ("time", 86400, "day night"),
    ("time", 604800, "week"),
    ("time", 2629746, "month"),
    ("time", 31556952, "year yr yrs"),
    ("data", 1, "byte"),
    ("data", 1e3, "kb kilobyte"),
    ("data", 1e6, "mb megabyte"),
    ("data", 1e9, "gb gigabyte"),
    ("data", 1e12, "tb terabyte"),
    ("data", 2.0**10, "kib"),
    ("data", 2.0**20, "mib"),
    ("data", 2.0**30, "gib"),
    ("data", 2.0**40, "tib"),
    ("power", 1, "watt w"),
    ("power", 1e3, "kw kilowatt"),
    ("power", 1e6, "mw megawatt"),
    ("power", 1e9, "gw gigawatt"),
    ("energy", 3.6e6, "kwh kilowatthour"),
    ("energy", 3.6e9, "mwh megawatthour"),
    ("energy", 3.6e12, "gwh gigawatthour"),
    ("energy", 3.6e15, "twh terawatthour"),
    ("energy", 1, "j joule"),
    ("energy", 1e3, "kj kilojoule"),
    ("energy", 1e6, "mj megajoule"),
    ("energy", 4184, "kcal kilocalorie"),
    ("pressure", 1, "pa pascal"),
    ("pressure", 1e2, "hpa hectopascal mbar millibar"),
    ("pressure", 1e3, "kpa kilopascal"),
    ("pressure", 1e6, "mpa megapascal"),
    ("pressure", 133.322387415, "mmhg"),
    ("frequency", 1, "hz hertz"),
    ("frequency", 1e3, "khz kilohertz"),
    ("frequency", 1e6, "mhz megahertz"),
    ("frequency", 1e9, "ghz gigahertz"),
    ("area", 1, "m² m2"),
    ("area", 1e6, "km² km2"),
    ("area", 1e4, "ha hectare"),
    ("area", 4046.8564224, "acre"),
    ("length/time", 1000 / 3600, "kph kmh"),
    ("length/time", 1609.344 / 3600, "mph"),
    ("length/time", 1852 / 3600, "knot kn"),
    ("USD", 1, "$ usd dollar"),
    ("EUR", 1, "€ eur euro"),
    ("EUR", 0.01, "ct"),
    ("GBP", 1, "£ gbp"),
    ("GBP", 0.01, "pence"),
    ("JPY", 1, "¥ jpy yen"),
    ("CHF", 1, "chf"),
    ("CNY", 1, "cny yuan"),
    ("INR", 1, "inr rupee"),
    ("DKK", 1, "dkk"),
    ("NOK", 1, "nok"),
    ("SEK", 1, "sek"),
    ("PLN", 1, "pln zloty"),
    ("CZK", 1, "czk"),
    ("AUD", 1, "aud"),
    ("CAD", 1, "cad"),
)
CURRENCIES = frozenset(dimension for dimension, _, _ in _TABLE if dimension.isupper())

_CELSIUS, _FAHRENHEIT = Unit("temperature"), Unit("temperature", 5 / 9, -160 / 9)
_NAMES: dict[str, Unit] = {
    "°c": _CELSIUS,
    "degreescelsius": _CELSIUS,
    "°f": _FAHRENHEIT,
    "degreesfahrenheit": _FAHRENHEIT,
    "k": Unit("temperature", 1, -273.15),
    "kelvin": Unit("temperature", 1, -273.15),
    "pound": Unit("GBP", 1, also=Unit("mass", 0.45359237)),
}
_NAMES.update({name: Unit(dimension, factor) for dimension, factor, names in _TABLE for name in names.split()})
UNITS: Mapping[str, Unit] = MappingProxyType(_NAMES)


_SIGNS = str.maketrans({"\u03bc": "\u00b5", " ": None, "-": None})
_POWERS = {"square": 2, "cubic": 3}


@lru_cache(maxsize=4096)
def find(word: str) -> Unit | None:
    """The unit that a word, a sign or two of them name, in singular or plural: `km`, `square metres`, `kg/m³`."""
    word = word.lower().translate(_SIGNS)
    head, slash, below = word.partition("/")
    if slash:
        return _quotient(find(head), find(below))
    for power, exponent in _POWERS.items():
        if word.startswith(power):
            return _power(find(word.removeprefix(power)), exponent)
    return UNITS.get(word) or (UNITS.get(word[:-1]) if word.endswith("s") and len(word) > 3 else None)


def _quotient(above: Unit | None, below: Unit | None) -> Unit | None:
    if above is None or below is None:
        return None
    return Unit(f"{above.dimension}/{below.dimension}", above.factor / below.factor)


def _power(length: Unit | None, exponent: int) -> Unit | None:
    """A litre is the unit of volume here, and there are a thousand in a cubic metre."""
    if length is None or length.dimension != "length":
        return None
    return Unit("area", length.factor**2) if exponent == 2 else Unit("volume", 1000 * length.factor**3)


def is_same(left: Unit | None, right: Unit | None) -> bool:
    """Whether two units may be one: a pound of money is also a pound of mass."""
    if left is None or right is None:
        return left is right
    return any(one == other for one in left.readings() for other in right.readings())
