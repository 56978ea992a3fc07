"""The shapes that detect-secrets knows, one line at a time.

Only detectors with an issuer's own prefix are used; those that judge by a keyword or by entropy alone raise false alarms
in prose, and its JWT and npm patterns take quadratic time on hostile lines, so they are ours (`tokens`). A detector's
`analyze_string` is pure; `verify`, which asks the issuer over the network, is never called.
"""

from __future__ import annotations

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
WINDOW = 2_048
OVERLAP = 256
"""Characters. The library is made for lines of source code; a window bounds what a pattern can do to a longer one, and
the overlap is longer than any token that these detectors know."""


def known(text: str) -> Iterator[Suspect]:
    for line in text.splitlines():
        for start in range(0, max(len(line) - OVERLAP, 1), WINDOW - OVERLAP):
            yield from _of_window(line[start : start + WINDOW])


def _of_window(line: str) -> Iterator[Suspect]:
    if len(line) < _SHORTEST:
        return
    for rule, detector in DETECTORS:
        for value in detector.analyze_string(line):
            if _is_whole(line, value) and not is_placeholder(value) and is_random(value, 3.0):
                yield Suspect(rule, f"a credential ({detector.secret_type})", value)


_SHORTEST = 20
"""Characters of the shortest token that these detectors know."""


def _is_whole(line: str, value: str) -> bool:
    """Not a piece of a longer run of letters and digits, such as a checksum or an encoded image."""
    at = line.find(value)
    before, after = line[max(at - 1, 0) : at], line[at + len(value) : at + len(value) + 1]
    return not before.isalnum() and not after.isalnum()
