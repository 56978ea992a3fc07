"""A proposed spec as the text of a spec file."""

from __future__ import annotations

from typing import Any

import yaml

from sidecar.spec_tools.infer import Proposal
from sidecar.yaml_source import typed

WIDTH = 110


def written(proposal: Proposal) -> str:
    """YAML that begins with what the proposal rests on."""
    body: str = yaml.dump(proposal.data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
    return "".join(f"# {line}\n" for line in remarks(proposal)) + body


def remarks(proposal: Proposal) -> list[str]:
    seen = f"{counted(proposal.requests, 'request')} and {counted(proposal.responses, 'response')}"
    return [
        f"Proposed from {seen}: what was always there is required, and nothing else is known.",
        "Read it, loosen what was chance, tighten what is meant, then hold other traffic to it: `sidecar spec test`.",
    ]


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class _Dumper(yaml.SafeDumper):
    """Quotes each text that YAML 1.2 would read as something else; PyYAML itself knows 1.1 (`1e5` is text there)."""

    def ignore_aliases(self, data: Any) -> bool:
        del data  # Specs are read by people, who do not follow anchors.
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(typed(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
