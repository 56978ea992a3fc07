"""Runbooks: a page for each alert, an alert for each page, and no page that says other amounts than the rule."""

from __future__ import annotations

import re

import pytest

from dashboards.rules import Settings
from dashboards.rules.runbooks import FOLDER, by_name, file_of, filled, index
from tests.dashboards.test_rules import SERIES, selectors

RULES = by_name()
HEADINGS = ["What it means", "How to look", "What to do", "How to silence", "False alarm"]
COMMANDS = {
    *("status", "agents", "tail", "top", "conversation", "tasks", "specs", "budgets", "quarantine", "release", "loops"),
    *("verifiers", "journal", "check", "spec", "prices"),
}
LINES_MAX = 100
"""Whoever was woken reads a page, not a book. Expressions take a third of the longest."""

ALERTS_PAGE = (FOLDER.parent / "alerts.md").read_text(encoding="utf-8")

of_each = pytest.mark.parametrize("name", RULES)


def page(name: str) -> str:
    return (FOLDER / file_of(name)).read_text(encoding="utf-8")


def test_every_alert_has_a_page_and_every_page_an_alert():
    """Its link leads there; a page without an alert would be read by nobody."""
    assert {path.name for path in FOLDER.glob("*.md")} == {file_of(name) for name in RULES} | {"README.md"}


@of_each
def test_a_page_answers_five_questions(name: str):
    """In the order in which they are asked at night."""
    text = page(name)
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == HEADINGS
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])
    assert text.count("\n") <= LINES_MAX


@of_each
def test_a_page_shows_the_rule_as_it_is(name: str):
    """Generated; `python -m dashboards.rules` mends a difference."""
    assert page(name) == filled(page(name), RULES[name])


def test_a_page_without_a_place_for_its_rule_is_refused():
    """It would never show it."""
    with pytest.raises(ValueError, match="the page of SidecarDown needs the lines"):
        filled("# SidecarDown\n", RULES["SidecarDown"])


def prose(name: str) -> str:
    """A page without its rule."""
    return re.sub(r"<!-- rule -->.*<!-- /rule -->", "", page(name), flags=re.DOTALL)


AMOUNTS = {
    "SidecarRunawayLoop": [f"at least {Settings().runaway_refusals} times in 5 minutes, for 5 minutes"],
    "SidecarBudgetNearlySpent": [f"{Settings().budget_share:.0%}".replace("%", " %")],
    "SidecarCostBurnRate": [f"{Settings().monthly_usd:g} USD in 30 days", "more than 6 USD"],
    "SidecarSpecViolations": [
        f"{Settings().slo:.0%} over".replace("%", " %"),
        f"Fewer than {Settings().slo_violations_min}",
    ],
    "SidecarVerdictFailures": [
        f"more than {Settings().verdict_fail_share:.0%}".replace("%", " %"),
        f"at least {Settings().verdict_fails_min} in 30 minutes",
    ],
    "SidecarVerifierDown": [f"more than {Settings().verifier_failure_share:.0%}".replace("%", " %")],
    "SidecarVerifierDissent": [
        f"more than {Settings().dissent_share:.0%}".replace("%", " %"),
        f"at least {Settings().dissents_min} times in an hour",
    ],
    "SidecarFailOpen": [f"at least {Settings().fail_opens_min} in 10 minutes"],
    "SidecarStaleReads": [f"at least {Settings().stale_reads_min} times in an hour"],
    "SidecarRetryStorm": ["More than a quarter", f"at least {Settings().retries_min} in 5 minutes"],
    "SidecarOldestCall": [f"more than {Settings().oldest_call_s / 60:g} minutes"],
    "SidecarBrokenTraces": [f"More than {Settings().unjoined_share:.0%}".replace("%", " %")],
    "SidecarOverheadHigh": [
        f"more than {1000 * Settings().overhead_s:g} ms",
        f"at least {Settings().overhead_exchanges_min} calls",
    ],
    "SidecarSpansLost": [
        f"More than {Settings().spans_lost_share:.0%}".replace("%", " %"),
        f"at least {Settings().spans_lost_min}, did not",
    ],
}
"""What the prose of a page says of its limits, made from the settings."""


@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts_in_prose_are_those_of_the_rule(name: str):
    """A limit that was changed in the settings is changed here as well."""
    text = " ".join(prose(name).split())
    assert [amount for amount in AMOUNTS[name] if amount not in text] == []


@of_each
def test_the_command_that_silences_names_this_alert(name: str):
    """It can be copied; what it leaves out would silence more than was meant."""
    command = re.search(r"^amtool silence add .*$", page(name), flags=re.MULTILINE)
    assert command is not None
    assert f" alertname={name} " in f"{command[0]} "
    assert "--duration=" in command[0] and "--comment=" in command[0]


@of_each
def test_commands_of_a_page_are_the_products(name: str):
    """Each begins with a word that `sidecar` knows."""
    assert set(re.findall(r"`sidecar ([a-z]+)", prose(name))) <= COMMANDS


@of_each
def test_queries_of_a_page_can_be_asked(name: str):
    """They parse, and name series that exist, with their labels."""
    queries = [found for found in re.findall(r"`([^`]+)`", prose(name)) if re.search(r"\bsidecar_\w+", found)]
    assert queries or name in ("SidecarAbsent",)
    for query in queries:
        for selector in selectors(query):
            assert selector.name in SERIES or selector.name.startswith("process_"), query
            labels = SERIES.get(selector.name or "", {"job", "instance"})
            assert {matcher.name for matcher in selector.matchers.matchers} <= labels, query


def test_the_index_is_what_the_rules_say():
    """Generated; `python -m dashboards.rules` mends a difference."""
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == index()


def test_the_table_of_alerts_is_complete():
    """Every alert with its severities, in the template's order."""
    rows = re.findall(r"^\| \[(Sidecar\w+)\]\(runbooks/(\w+\.md)\) \| ([a-z, ]+) \|", ALERTS_PAGE, flags=re.MULTILINE)
    expected = []
    for name, rules in RULES.items():
        severities = ", ".join(dict.fromkeys(rule["labels"]["severity"] for rule in rules))
        expected.append((name, file_of(name), severities))
    assert rows == expected


def test_every_setting_is_told():
    """With its name and its default; none that does not exist."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", ALERTS_PAGE, flags=re.MULTILINE))
    settings = Settings()
    assert rows == {name: shown(getattr(settings, name)) for name in Settings.__dataclass_fields__}


def shown(value: object) -> str:
    return value or "empty" if isinstance(value, str) else f"{value:g}"
