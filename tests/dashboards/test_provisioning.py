"""What Grafana is given at its start fits together: sources, the link from an exemplar to its trace, and the boards."""

from __future__ import annotations

from typing import Any

import yaml

from dashboards.__main__ import ROOT
from sidecar.telemetry.families import Exemplar

FOLDER = ROOT / "dashboards" / "provisioning"
SOURCES: dict[str, Any] = yaml.safe_load((FOLDER / "datasources" / "sidecar.yaml").read_text("utf-8"))
PROVIDERS: dict[str, Any] = yaml.safe_load((FOLDER / "dashboards" / "sidecar.yaml").read_text("utf-8"))


def test_sources_have_addresses_and_names_of_their_own():
    """One is the default, and nobody edits in Grafana what stands in a file."""
    sources = SOURCES["datasources"]
    assert SOURCES["apiVersion"] == PROVIDERS["apiVersion"] == 1
    assert [source["uid"] for source in sources] == ["prometheus", "tempo"]
    assert [source.get("isDefault", False) for source in sources] == [True, False]
    assert not any(source["editable"] for source in sources)


def test_an_exemplar_leads_to_its_trace():
    """By the label that exemplars have, at a source that is there; `$$` is a dollar in provisioning files."""
    prometheus = SOURCES["datasources"][0]["jsonData"]
    [link] = prometheus["exemplarTraceIdDestinations"]
    assert link["name"] in Exemplar("a" * 32, "b" * 16, 1.0).with_value(1.0).labels
    assert link["datasourceUid"] in {source["uid"] for source in SOURCES["datasources"]}
    assert link["urlDisplayLabel"] == "Trace $${__value.raw}"


def test_boards_are_looked_for_where_they_are_mounted():
    """As dashboards/README.md tells."""
    [provider] = PROVIDERS["providers"]
    assert f"| `boards` | `{provider['options']['path']}` |" in (ROOT / "dashboards" / "README.md").read_text("utf-8")
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
