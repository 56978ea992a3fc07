"""Redaction: what is masked, what stays, and that nobody can make it slow."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.redaction import DETECTORS, MASK, UNREAD, Redactor
from sidecar.engine.redaction.detectors import is_card
from sidecar.engine.redaction.redactor import DEPTH_MAX
from sidecar.engine.specs import Path

ALL = Redactor()

CARDS = ["4111111111111111", "4111 1111 1111 1111", "5500-0055-5555-5559", "340000000000009", "6011000990139424"]
"""Numbers that card networks publish for tests."""


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("frame", ["{}", "pay with {} please", "card:{}.", "12 {} 34", "({})"])
def test_cards_are_masked_wherever_they_stand(card: str, frame: str):
    assert card not in ALL.text(frame.format(card))


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112",
        "1700000000000000000",
        "call 030 1234 5678",
        "2026-08-01 12:30:45.123",
        "b7ad6b7169203331",
        "4111-1111-1111-1111-1111-1111-1111-1111",
    ],
)
def test_other_numbers_stay(text: str):
    """Luhn's last digit is wrong, the length is, or no network begins so."""
    masked = ALL.text(text)
    assert masked == text or is_card(re.sub(r"\D", "", text)[:16])


@pytest.mark.parametrize("text", ["bob@example.com", "o'hara.j+x@mail.example.co.uk", "jürgen@exämple.de"])
def test_addresses_are_masked(text: str):
    assert ALL.text(f"write to {text}, now") == "write to [redacted:email], now"


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "sk-" + "ant-api03-" + "a1B2" * 6,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIEow==\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow and it never ends",
        "xoxb-123456789012-abcdefghijkl",
        "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    ],
)
def test_credentials_are_known_by_their_form(secret: str):
    masked = ALL.text(f"use {secret} for it")
    assert secret not in masked
    assert masked.startswith("use [redacted:credential]")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://user:hunter2@cache:6379", "redis://user:[redacted:credential]@cache:6379"),
        ("password=hunter2; next", "password=[redacted:credential]; next"),
        ('{"api_key": "abcd1234"}', '{"api_key": "[redacted:credential]"}'),
        ("Authorization: Bearer abcdefghijklmnop.qrs", "Authorization: [redacted:credential]"),
    ],
)
def test_what_is_assigned_to_a_password_is_masked(text: str, masked: str):
    assert ALL.text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "the answer holds 3 facts",
        "task-3f0e8b0a-1111-2222-3333-444455556666",
        "/lf.a2a.v1.A2AService/SendMessage",
        "TASK_STATE_WORKING",
        "the token bucket is full",
        "risk-averse investors prefer bonds to shares",
    ],
)
def test_ordinary_words_stay(text: str):
    assert ALL.text(text) == text


def samples() -> list[tuple[str, re.Pattern[str]]]:
    """What detect-secrets knows by its form alone, without a name beside it."""
    from detect_secrets.plugins import (
        aws,
        discord,
        github_token,
        gitlab_token,
        jwt,
        mailchimp,
        npm,
        openai,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    detectors = {
        "aws": aws.AWSKeyDetector.denylist[:1],
        "discord": discord.DiscordBotTokenDetector.denylist,
        "github": github_token.GitHubTokenDetector.denylist,
        "gitlab": gitlab_token.GitLabTokenDetector.denylist,
        "jwt": jwt.JwtTokenDetector.denylist,
        "mailchimp": mailchimp.MailchimpDetector.denylist,
        "openai": openai.OpenAIDetector.denylist,
        "pypi": pypi_token.PypiTokenDetector.denylist,
        "sendgrid": sendgrid.SendGridDetector.denylist,
        "slack": slack.SlackDetector.denylist[:1],
        "square": square_oauth.SquareOAuthDetector.denylist,
        "stripe": stripe.StripeDetector.denylist,
        "telegram": telegram_token.TelegramBotTokenDetector.denylist,
        "twilio": twilio.TwilioKeyDetector.denylist,
    }
    del npm
    return [(f"{name}-{number}", pattern) for name, found in detectors.items() for number, pattern in enumerate(found)]


@pytest.mark.parametrize(("name", "pattern"), samples(), ids=[name for name, _ in samples()])
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_what_a_well_kept_table_finds_is_masked(name: str, pattern: re.Pattern[str], data: st.DataObject):
    """Texts made from detect-secrets' own patterns: a form that it learns and we do not shows here."""
    alphabet = st.characters(codec="ascii", exclude_categories=("Cc",))
    secret = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=alphabet))
    if name.startswith("jwt") and not re.fullmatch(r"eyJ[\w=-]{8,}\.[\w=-]{4,}.*", secret, re.ASCII):
        return  # too short to be a token: `eyJa.b`
    if len(secret) < 20:
        return
    assert secret not in ALL.text(f"it is {secret} indeed")


# Documents.


def test_fields_are_masked_by_their_names():
    """Whoever wrote the schema: case and separators do not count."""
    document = {
        "apiKey": "a",
        "API-KEY": "b",
        "db_password": {"deep": 1},
        "Authorization": "c",
        "tokens": 7,
    }
    masked = ALL.document(document)
    assert masked == {
        "apiKey": MASK,
        "API-KEY": MASK,
        "db_password": MASK,
        "Authorization": MASK,
        "tokens": 7,
    }


def test_places_are_masked_by_their_paths():
    document = {"a": [{"b": 1, "c": 2}, {"b": 3}], "d": {"e": "f"}}
    redactor = Redactor(paths=[Path("$.a[*].b")])
    assert redactor.document(document, [Path("$.d")]) == {"a": [{"b": MASK, "c": 2}, {"b": MASK}], "d": MASK}
    assert redactor.document(document, [Path("$")]) == MASK


def test_what_came_in_is_not_changed():
    document = {"password": "x", "list": [{"mail": "a@b.cc"}]}
    ALL.document(document)
    assert document == {"password": "x", "list": [{"mail": "a@b.cc"}]}


def test_a_number_can_be_a_card():
    masked = ALL.document({"int": 4111111111111111, "float": 4111111111111111.0, "other": 4111111111111112})
    assert masked == {"int": "[redacted:card]", "float": "[redacted:card]", "other": 4111111111111112}


def test_a_name_of_a_field_can_be_a_secret():
    """Two that look the same behind their masks both stay."""
    masked = ALL.document({"a@b.cc": 1, "d@e.ff": 2})
    assert masked == {"[redacted:email]": 1, "[redacted:email]#2": 2}


@pytest.mark.parametrize("depth", [DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1])
def test_what_is_too_deep_to_be_looked_at_is_masked(depth: int):
    document: Any = "bob@example.com"
    for _ in range(depth):
        document = {"x": document}
    text = str(ALL.document(document))
    assert "bob" not in text
    assert (UNREAD in text) is (depth > DEPTH_MAX)


def test_what_is_too_much_to_be_looked_at_is_masked():
    masked = ALL.document([f"{number}@example.com" for number in range(60_000)])
    assert masked[-1] == UNREAD
    assert "example.com" not in str(masked[49_990:])
    assert ALL.document("bob@example.com" + "x" * (3 << 20)) == UNREAD


def test_a_path_with_too_many_places_masks_the_whole_document():
    """The rest of them could not be found, and nobody may see those."""
    document = {"a": list(range(5_000))}
    assert Redactor(paths=[Path("$.a[*]")]).document(document) == UNREAD


def test_what_is_turned_off_stays():
    redactor = Redactor(keys=(), detectors=())
    document = {"password": "x", "mail": "a@b.cc", "n": 4111111111111111}
    assert redactor.document(document) == document


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "1" * 200_000,
        "1 " * 100_000,
        "a@" * 100_000,
        "a." * 100_000,
        "eyJ" * 70_000,
        "eyJaaaaaaaa." * 20_000,
        "-----BEGIN PRIVATE KEY" * 10_000,
        "://a:" * 40_000,
        "password=" * 20_000,
        "sk-" * 70_000,
        "xoxa-" * 40_000,
        "glpat-" * 40_000,
        "4111 1111 1111 1111 " * 10_000,
        "M" * 24 + "." * 200_000,
        "12345678:" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_makes_a_detector_slow(name: str, text: str):
    """Twice the text takes about twice the time; a pattern that backtracks would take minutes."""
    begin_s = time.process_time()
    DETECTORS[name](text)
    assert time.process_time() - begin_s < 20.0


SECRETS = st.sampled_from([*CARDS, "bob@example.com", "AKIAIOSFODNN7EXAMPLE", "sk-abcdefghijklmnopqrstuvwx"])
PLAIN = st.text(alphabet="abc xyz.,\n", max_size=20)
PLANTED = st.builds(lambda before, secret, after: f"{before} {secret} {after}", PLAIN, SECRETS, PLAIN)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), PLAIN, PLANTED)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.one_of(PLAIN, PLANTED), inner, max_size=4),
    max_leaves=30,
)


@given(DOCUMENTS)
def test_no_planted_secret_survives_anywhere_in_a_document(document: Any):
    """In values or names, at any depth."""
    text = repr(ALL.document(document))
    assert not [secret for secret in (*CARDS, "bob@example.com", "AKIAIOSFODNN7EXAMPLE") if secret in text]


@given(DOCUMENTS)
def test_masking_twice_changes_nothing_more(document: Any):
    once = ALL.document(document)
    assert ALL.document(once) == once
