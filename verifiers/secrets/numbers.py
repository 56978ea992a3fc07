"""Numbers that carry their own check digits: payment cards (ISO/IEC 7812) and bank accounts (ISO 13616)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.secrets.suspect import Suspect

_CARD = re.compile(
    r"(?<![\w.,+-])(?<!\d[ -])[2-6]\d{3}(?:(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}"
    r"|(?P<amex>[ -]?)\d{6}(?P=amex)\d{5})(?![\w-]|[.,]\d)"
)
_IBAN = re.compile(r"(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
_ABOUT_CARDS = re.compile(
    r"card|visa|master|amex|american express|credit|debit|payment|cvv|cvc|expir|\bpan\b", re.IGNORECASE
)
_NEARBY = 60
"""Characters on each side in which a card is named. One 16-digit number in ten passes the check digit by chance."""

_CARDS = (
    "4111111111111111 4242424242424242 4012888888881881 4000056655665556 5555555555554444 5105105105105100"
    " 5200828282828210"
    " 2223003122003222 2223000048400011 378282246310005 371449635398431 378734493671000 6011111111111117"
    " 6011000990139424"
    " 3530111333300000 3566002020360505 4000000000000002 4000000000009995"
)
CARD_EXAMPLES = frozenset(_CARDS.split())
"""Published by payment services for tests; no account stands behind them."""
_IBANS = (
    "DE89370400440532013000 GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555"
    " FR1420041010050500013M02606"
    " NL91ABNA0417164300 CH9300762011623852957 ES9121000418450200051332 AT611904300234573201 BE68539007547034"
)
IBAN_EXAMPLES = frozenset(_IBANS.split())
"""From the registry of the standard and the manuals of banks."""
_COUNTRIES = """
15 NO
16 BE
18 DK FI NL FO GL
19 MK SI
20 AT BA EE KZ LT LU XK
21 CH CR HR LI LV
22 BG BH DE GB GE IE ME RS
23 AE GI IL TL
24 AD CZ ES MD PK RO SA SE SK TN VG
25 PT ST
26 IS TR
27 FR GR IT MC SM
28 AL AZ CY DO GT HU LB PL
29 BR PS QA
30 JO KW MU
31 MT
"""
_IBAN_LENGTHS = {
    country: int(length)
    for length, *countries in (line.split() for line in _COUNTRIES.strip().splitlines())
    for country in countries
}


def cards(text: str) -> Iterator[Suspect]:
    """Numbers in groups as on a card, or any beside a word that says card."""
    for found in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", found[0])
        around = text[max(0, found.start() - _NEARBY) : found.end() + _NEARBY]
        if digits != found[0] or _ABOUT_CARDS.search(around):
            yield from _card(digits)


def _card(digits: str) -> Iterator[Suspect]:
    if _has_issuer(digits) and is_luhn(digits) and digits not in CARD_EXAMPLES and len(set(digits)) > 3:
        yield Suspect("card-number", "a payment card number", digits)


def _has_issuer(digits: str) -> bool:
    """Ranges of issuers: American Express has 15 digits, the others 16."""
    if len(digits) == 15:
        return digits[:2] in ("34", "37")
    prefix = int(digits[:4])
    ranges = ((4000, 4999), (5100, 5599), (2221, 2720), (6011, 6011), (6440, 6599), (3528, 3589), (6200, 6299))
    return any(low <= prefix <= high for low, high in ranges)


def is_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def ibans(text: str) -> Iterator[Suspect]:
    for found in _IBAN.finditer(text):
        packed = found[0].replace(" ", "")
        account = packed[: _IBAN_LENGTHS.get(packed[:2], 0)]
        if account and is_mod97(account) and account not in IBAN_EXAMPLES and (account == packed or " " in found[0]):
            yield Suspect("iban", "a bank account number (IBAN)", account)


def is_mod97(account: str) -> bool:
    """ISO 7064, MOD 97-10: letters count from 10, and the first four characters move to the end."""
    rotated = account[4:] + account[:4]
    return len(account) >= 15 and int("".join(str(int(char, 36)) for char in rotated)) % 97 == 1
