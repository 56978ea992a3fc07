"""The shapes that detect-secrets knows, one line at a time.

Only detectors with an issuer's own prefix are used; those that judge by a keyword or by entropy alone raise false
alarms in prose, and its JWT and npm patterns take quadratic time on hostile lines, so they are ours (`tokens`). Its
patterns are taken and matched here: `analyze_string` gives a pattern's groups where it has any, so a GitHub token comes
out as its prefix, and `verify` asks the issuer over the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from verifiers.secrets.placeholder import is_placeholder, is_random
from verifiers.secrets.suspect import Suspect

DETECTORS = (
    ("aws-key", AWSKeyDetector()),
    ("azure-key", AzureStorageKeyDetector()),
    ("discord-token", DiscordBotTokenDetector()),
    ("github-token", GitHubTokenDetector()),
    ("gitlab-token", GitLabTokenDetector()),
    ("mailchimp-key", MailchimpDetector()),
    ("openai-key", OpenAIDetector()),
    ("pypi-token", PypiTokenDetector()),
    ("sendgrid-key", SendGridDetector()),
    ("slack-token", SlackDetector()),
    ("square-secret", SquareOAuthDetector()),
    ("stripe-key", StripeDetector()),
    ("telegram-token", TelegramBotTokenDetector()),
    ("twilio-key", TwilioKeyDetector()),
)
PATTERNS = tuple((rule, detector.secret_type, pattern) for rule, detector in DETECTORS for pattern in detector.denylist)
WINDOW = 2_048
OVERLAP = 256
"""Characters. The library is made for lines of source code; a window bounds what a pattern can do to a longer one, and
the overlap is longer than any token that these detectors know."""
_SHORTEST = 20
"""Characters of the shortest token that these detectors know."""
_DIGIT = re.compile(r"\d")


def known(text: str) -> Iterator[Suspect]:
    for line in filter(_may_hold, text.splitlines()):
        for start in range(0, max(len(line) - OVERLAP, 1), WINDOW - OVERLAP):
            yield from _of_window(line[start : start + WINDOW])


def _may_hold(line: str) -> bool:
    return len(line) >= _SHORTEST and _DIGIT.search(line) is not None


def _of_window(line: str) -> Iterator[Suspect]:
    for rule, kind, pattern in PATTERNS:
        for found in pattern.finditer(line):
            value = _value(found)
            if _is_whole(line, found) and not is_placeholder(value) and is_random(value, 3.0):
                yield Suspect(rule, f"a credential ({kind})", value)


def _value(found: re.Match[str]) -> str:
    """Some patterns match the name as well and have the value in a group; others have groups for mere prefixes."""
    longest = max(found.groups(""), key=len, default="")
    return longest if len(longest) >= _SHORTEST else found[0]


def _is_whole(line: str, found: re.Match[str]) -> bool:
    """Not a piece of a longer run of letters and digits, such as a checksum or an encoded image."""
    before, after = line[max(found.start() - 1, 0) : found.start()], line[found.end() : found.end() + 1]
    return not before.isalnum() and not after.isalnum()
