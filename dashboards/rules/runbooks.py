"""The parts of docs/runbooks/ that are made from the rules: the index, and the expression on each page."""

from __future__ import annotations

from pathlib import Path

from dashboards.rules.recording import Rule
from dashboards.rules.template import alerts

FOLDER = Path(__file__).parent.parent.parent / "docs" / "runbooks"

BEGIN, END = "<!-- rule -->\n", "<!-- /rule -->\n"

HEAD = """# Runbooks

One page for each alert: what it means, how to look, what to do, how to silence it, and when it is a false alarm. The
alert's `runbook_url` leads here. All limits are told and changed in [alerts](../alerts.md).

Queries go to the Prometheus that watches the sidecars. Commands such as `sidecar status` ask a sidecar's admin address;
what they change holds at once, for the whole fleet where it shares a store. Boards are in
[dashboards](../../dashboards/README.md).

Whatever the alert: **calls go on** unless the page says that they are refused, and `mode: observe` at the root of a
sidecar's configuration ends every refusal of its checks.

| severity | means |
|---|---|
| critical | somebody is woken: work stops, money runs away, or nobody is watching |
| warning | a ticket for the day |
| info | worth knowing beside another alert |

| alert | severity | says |
|---|---|---|
"""


def by_name() -> dict[str, list[Rule]]:
    """The rules of each alert, in the template's order."""
    found: dict[str, list[Rule]] = {}
    for group in alerts():
        for rule in group["rules"]:
            found.setdefault(rule["alert"], []).append(rule)
    return found


def file_of(name: str) -> str:
    return f"{name.lower()}.md"


def index() -> str:
    return HEAD + "".join(row(name, rules) for name, rules in by_name().items())


def row(name: str, rules: list[Rule]) -> str:
    severities = " or ".join(dict.fromkeys(rule["labels"]["severity"] for rule in rules))
    return f"| [{name}]({file_of(name)}) | {severities} | {rules[0]['annotations']['summary']} |\n"


def block(rules: list[Rule]) -> str:
    """What Prometheus compares, word for word."""
    return "\n".join(shown(rule) for rule in rules)


def shown(rule: Rule) -> str:
    labels = dict(rule["labels"])
    severity = labels.pop("severity")
    more = "".join(f', `{name}="{value}"`' for name, value in labels.items())
    waits = f"after {rule['for']} of" if "for" in rule else "at once with"
    return f"**{severity}**{more}, {waits}\n\n```promql\n{rule['expr']}\n```\n"


def filled(page: str, rules: list[Rule]) -> str:
    """The page with the rules in their place. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page of {rules[0]['alert']} needs the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{block(rules)}\n{END}{after}"


def write() -> None:
    """Every page anew, and the index."""
    for name, rules in by_name().items():
        path = FOLDER / file_of(name)
        path.write_text(filled(path.read_text(encoding="utf-8"), rules), encoding="utf-8")
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")
