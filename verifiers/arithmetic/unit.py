"""Units that convert into each other, and what each is in the base unit of its dimension.

Some names stand for several units: a GB is 10^9 or 2^30 bytes, a gallon is American or British, a ton has three
meanings. Such a unit has several factors, and a conversion is right where any of them makes it right.
Factors are exact by definition (SI brochure, 9th edition; international yard and pound agreement of 1959).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    dimension: str
    factors: tuple[Decimal, ...]
    offset: Decimal = Decimal(0)
    """Base = value * factor + offset; only temperatures have one."""


_TABLE = """
length       nm               1e-9
length       µm|μm|micrometers|micrometres|microns 1e-6
length       mm|millimeters|millimetres|millimeter|millimetre 0.001
length       cm|centimeters|centimetres|centimeter|centimetre 0.01
length       m|meters|metres|meter|metre 1
length       km|kilometers|kilometres|kilometer|kilometre 1000
length       inches|inch      0.0254
length       ft|feet|foot     0.3048
length       yd|yards|yard    0.9144
length       mi|miles|mile    1609.344
length       nmi              1852
mass         mg|milligrams|milligram 0.000001
mass         g|grams|gram     0.001
mass         kg|kilograms|kilogram|kilos 1
mass         tonnes|tonne     1000
mass         tons|ton         1000 907.18474 1016.0469088
mass         oz|ounces|ounce  0.028349523125
mass         lb|lbs|pounds|pound 0.45359237
time         ms|milliseconds|millisecond 0.001
time         s|sec|secs|seconds|second 1
time         min|mins|minutes|minute 60
time         h|hr|hrs|hours|hour 3600
time         days|day         86400
time         weeks|week       604800
volume       ml|mL|millilitres|milliliters 0.001
volume       l|L|litres|liters|litre|liter 1
volume       gal|gallons|gallon 3.785411784 4.54609
volume       pints|pint       0.473176473 0.56826125
area         m²|m2|sqm        1
area         km²|km2          1000000
area         ha|hectares|hectare 10000
area         acres|acre       4046.8564224
area         sqft|ft²         0.09290304
speed        km/h|kph|kmh     1000
speed        mph              1609.344
energy       kJ               1000
energy       kcal             4184
energy       Wh               3600
energy       kWh              3600000
energy       MWh              3600000000
power        W|watts          1
power        kW|kilowatts     1000
power        MW|megawatts     1000000
power        GW|gigawatts     1000000000
frequency    Hz               1
frequency    kHz              1000
frequency    MHz              1000000
frequency    GHz              1000000000
bytes        bytes|byte       1
bytes        kB|KB|kilobytes  1000 1024
bytes        MB|megabytes|megabyte 1000000 1048576
bytes        GB|gigabytes|gigabyte 1000000000 1073741824
bytes        TB|terabytes|terabyte 1000000000000 1099511627776
bytes        KiB              1024
bytes        MiB              1048576
bytes        GiB              1073741824
bytes        TiB              1099511627776
"""


def _units() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for line in _TABLE.strip().splitlines():
        dimension, names, *factors = line.split()
        spellings = names.split("|")
        unit = Unit(spellings[0], dimension, tuple(Decimal(factor) for factor in factors))
        found.update(dict.fromkeys(spellings, unit))
    return found | _temperatures()


def _temperatures() -> dict[str, Unit]:
    fifth = Decimal(5) / Decimal(9)
    celsius = Unit("°C", "temperature", (Decimal(1),))
    fahrenheit = Unit("°F", "temperature", (fifth,), -32 * fifth)
    return {
        **dict.fromkeys(("°C", "℃", "degrees Celsius"), celsius),
        **dict.fromkeys(("°F", "℉", "degrees Fahrenheit"), fahrenheit),
    }


UNITS = _units()
"""By spelling. Symbols are case-sensitive (Mb is not MB); words are spelled in lower case."""

PATTERN = "|".join(re.escape(name) for name in sorted(UNITS, key=len, reverse=True))
