"""Detectors: what is recognised by its form alone, wherever it stands.

Every pattern takes time in proportion to the text: runs are possessive (`++`, `{n,}+`), or bounded, and begin where no
earlier run could. The forms of credentials are those that their issuers publish; tests hold them to the tables of
detect-secrets, which is kept for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Detector = Callable[[str], str]
"""A text in, the text with masks out."""

CARD_DIGITS: Final = range(13, 20)
"""Digits of a payment card's number (ISO/IEC 7812-1 allows up to 19; the shortest in use have 13)."""

CARD_FIRST: Final = frozenset("23456")
"""First digits of the payment networks. It keeps Unix times of today from being taken for cards."""

CREDENTIAL: Final = "[redacted:credential]"
EMAIL: Final = "[redacted:email]"
CARD: Final = "[redacted:card]"

FORMS: Final = (
    (("a3t", "abia", "acca", "akia", "asia"), r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}"),  # AWS access key id
    (("accountkey=",), r"AccountKey=[A-Za-z0-9+/=]{88}"),  # Azure storage
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9_]{36,255}+"),  # GitHub
    (("github_pat_",), r"github_pat_[A-Za-z0-9_]{22,255}+"),
    (
        ("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "glcbt-", "glimt-", "glptt-", "glagent-", "gloas-"),
        r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[A-Za-z0-9_-]{20,1024}+",
    ),
    (("gr1348941",), r"GR1348941[A-Za-z0-9_-]{20,64}+"),  # GitLab runner registration
    (("sk-",), r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,512}+"),  # OpenAI, Anthropic and those who copy their form
    (("npm_",), r"npm_[A-Za-z0-9]{36,64}+"),
    (("_authtoken",), r"_authToken=\s{0,8}[^\s\"']{8,512}+"),  # npm
    (("pypi-",), r"pypi-[A-Za-z0-9_-]{40,1024}+"),
    (("sg.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}+"),  # SendGrid
    (("xox",), r"(?i:xox[a-z]-[A-Za-z0-9-]{10,512}+)"),  # Slack
    (("hooks.slack.com",), r"(?i:https://hooks\.slack\.com/services/[A-Za-z0-9_/]{6,256}+)"),
    (("sq0csp-", "sq0atp-"), r"sq0(?:csp|atp)-[0-9A-Za-z\\_-]{22,64}+"),  # Square
    (("k_live_", "k_test_"), r"[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}+"),  # Stripe
    ((":",), r"(?<![0-9])[0-9]{8,10}:[0-9A-Za-z_-]{35}"),  # Telegram bot
    (("AC", "SK"), r"(?<![A-Za-z0-9])(?:AC|SK)[a-z0-9]{32}"),  # Twilio
    ((".",), r"[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,64}+"),  # Discord
    (("-us",), r"(?<![0-9a-z])[0-9a-z]{32}-us[0-9]{1,2}"),  # Mailchimp
    (("aiza",), r"AIza[0-9A-Za-z_-]{35}"),  # Google API key
    (("ya29.",), r"ya29\.[0-9A-Za-z_-]{20,1024}+"),  # Google OAuth
    (("hf_",), r"hf_[A-Za-z0-9]{30,64}+"),  # Hugging Face
    (
        ("eyj",),  # JSON Web Token
        r"(?<![A-Za-z0-9_.=-])eyJ[A-Za-z0-9_=-]{8,}+\.[A-Za-z0-9_=-]{4,}+(?:\.[A-Za-z0-9_+/=-]*+)?",
    ),
    (
        ("private key",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    (("bearer", "basic"), r"(?i:\b(?:bearer|basic)\s{1,4}[A-Za-z0-9._~+/=-]{16,4096}+)"),  # RFC 6750, RFC 7617
)
"""What must occur in a text for a form to be looked for at all (in lower case, unless it has capitals), and the form:
most texts have none of them, and finding that out takes a small part of the time."""

_FORMS: Final = tuple(
    (markers, not any(marker != marker.lower() for marker in markers), re.compile(pattern))
    for markers, pattern in FORMS
)
_URL_PASSWORD: Final = re.compile(r"(://[^\s/:@]{0,256}+:)[^\s/@]{1,256}+(?=@)")
_ASSIGNED: Final = re.compile(
    r"(?i:((?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?token|access[_-]?token)"
    r"[\"']?\s{0,3}[=:]\s{0,3}[\"']?))(?!\[redacted)[^\s\"',;&]{4,512}+"
)
_NAMES: Final = ("pass", "pwd", "secret", "key", "token")
_EMAIL: Final = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@[\w-]++(?:\.[\w-]++)+")
_DIGITS: Final = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,}+")
_GROUP: Final = re.compile(r"[0-9]+")


def secrets(text: str) -> str:
    """Credentials that are known by their form, passwords in URLs, and what is assigned to a password's name."""
    plain = text.lower()
    for markers, is_folded, pattern in _FORMS:
        where = plain if is_folded else text
        for marker in markers:
            if marker in where:
                text = pattern.sub(CREDENTIAL, text)
                break
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{CREDENTIAL}", text)
    return _ASSIGNED.sub(rf"\1{CREDENTIAL}", text) if any(name in plain for name in _NAMES) else text


def emails(text: str) -> str:
    return _EMAIL.sub(EMAIL, text) if "@" in text else text


def cards(text: str) -> str:
    """Payment card numbers, with or without a space or hyphen between groups."""
    return _DIGITS.sub(lambda found: without_cards(found[0]), text) if has_digits(text) else text


def has_digits(text: str) -> bool:
    return len(text) >= CARD_DIGITS.start and _DIGITS.search(text) is not None


def without_cards(run: str) -> str:
    """A run of digits and separators: groups that together make a card are masked; another number beside it stays."""
    groups = list(_GROUP.finditer(run))
    masked, kept, at = "", 0, 0
    while at < len(groups):
        end = end_of_card(run, groups, at)
        if end is None:
            at += 1
            continue
        masked += run[kept : groups[at].start()] + CARD
        kept, at = groups[end - 1].end(), end
    return masked + run[kept:]


def end_of_card(run: str, groups: list[re.Match[str]], begin: int) -> int | None:
    """The group after a card that begins here; None where none does. The longest reading counts."""
    digits, end, found = "", begin, None
    while end < len(groups) and len(digits) < CARD_DIGITS.stop:
        digits += run[groups[end].start() : groups[end].end()]
        end += 1
        if is_card(digits):
            found = end
    return found


def is_card(digits: str) -> bool:
    """ISO/IEC 7812-1: the last digit makes the others add up (Luhn)."""
    if len(digits) not in CARD_DIGITS or digits[0] not in CARD_FIRST:
        return False
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits), start=1))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


DETECTORS: Final[dict[str, Detector]] = {"secrets": secrets, "emails": emails, "cards": cards}
"""By the names that the configuration knows. In this order: a password in a URL looks like an address as well."""
