"""`journal` and `redaction` in the configuration: what they mean, and what is a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.config import Config, parse
from sidecar.errors import ConfigError
from sidecar.journaling import redactor_of

GOOD = 'agent: a\nroutes: [{listen: ":50051", upstream: ":50052"}]\n'


def config(more: str) -> Config:
    return parse(GOOD + more, name="s.yaml", base=Path("/base"), environ={})


@pytest.mark.parametrize(
    ("said", "to"),
    [
        ("sqlite:j.db", ["sqlite:///base/j.db"]),
        ("[sqlite:///a.db, 'jsonl:b.jsonl', otlp]", ["sqlite:///a.db", "jsonl:///base/b.jsonl", "otlp"]),
        ("{to: otlp}", ["otlp"]),
        ("{to: ['redis://user:hunter2@cache:6379/0'], queue: 100}", ["redis://***@cache:6379/0"]),
    ],
)
def test_a_journal_is_a_url_a_list_or_a_section(said: str, to: list[str]):
    journal = config(f"journal: {said}").journal
    assert journal is not None
    assert [str(target) for target in journal.to] == to


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("journal: []", "1 to 64 entries"),
        ("journal: 5", "sqlite:///"),
        ("journal: {}", "journal.to"),
        ("journal: {to: otlp, flush: 1ms}", "10ms to 10s"),
        ("journal: {to: otlp, max_size: 1KiB}", "1MiB to 1024GiB"),
        ("journal: {to: otlp, queue: 1}", "100 to 1000000"),
        ("journal: [otlp, otlp]", "each place once"),
        ("journal: [sqlite:a, sqlite:b]", "one SQLite file"),
        ("journal: {to: otlp, path: x}", "unknown key"),
        ("redaction: {detectors: [secrets, phones]}", "secrets, emails or cards"),
        ("redaction: {paths: ['$[']}", "JSONPath"),
        ("redaction: {paths: ['$..a..b']}", "one `..` at most"),
        ("redaction: {keys: ['a/b']}", "a name of a field"),
        ("redaction: {usual_keys: maybe}", "true or false"),
    ],
)
def test_a_mistake_says_what_is_allowed(said: str, found: str):
    with pytest.raises(ConfigError) as refused:
        config(said)
    assert found in str(refused.value)


PLAIN = {"iban": "DE1", "password": "x", "mail": "a@b.cc", "n": 4}


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("", {"password": "[redacted]", "mail": "[redacted:email]"}),
        ("redaction: {keys: ['*ban*']}", {"iban": "[redacted]", "password": "[redacted]", "mail": "[redacted:email]"}),
        ("redaction: {usual_keys: false, detectors: []}", {}),
        ("redaction: {paths: [$.n], detectors: [cards]}", {"password": "[redacted]", "n": "[redacted]"}),
    ],
)
def test_what_is_configured_is_what_is_masked(said: str, masked: dict[str, Any]):
    assert redactor_of(config(said)).document(PLAIN) == PLAIN | masked
