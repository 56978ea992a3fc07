"""Rules as the YAML that Prometheus loads: expressions over several lines stay so."""

from __future__ import annotations

from typing import Any

import yaml

HEAD = "# Made by `python -m dashboards.rules`; change dashboards/rules/*.py, or pass --set, and make it again.\n"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's name
        super().increase_indent(flow, False)


def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Dumper.add_representer(str, text)


def rendered(groups: list[dict[str, Any]]) -> str:
    return HEAD + yaml.dump({"groups": groups}, Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)
