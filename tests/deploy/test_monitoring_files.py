"""What Prometheus, Alertmanager, collector, Tempo and Grafana are given, judged by their own tools where we have any.

There is none here for the collector and for Tempo: `closed` holds the keys that their documentation names for the parts
we use, and no others, so a misspelled key is found and a value that only their own parser would refuse is not.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.compose import ROOT, services

SERVICES = services()
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
ADDRESS = {"type": "string", "pattern": r"^[\w.-]+:\d+$"}
WHOLE = {"type": "integer", "minimum": 1}


def closed(*needed: str, **keys: Any) -> dict[str, Any]:
    """An object with these keys and no others."""
    return {"type": "object", "additionalProperties": False, "properties": keys, "required": list(needed)}


ENDPOINT = closed("endpoint", endpoint=ADDRESS)
OTLP = closed("protocols", protocols={**closed(grpc=ENDPOINT, http=ENDPOINT), "minProperties": 1})
WORDS = {"type": "array", "minItems": 1, "items": {"type": "string"}}
COLLECTOR = closed(
    "receivers",
    "processors",
    "exporters",
    "extensions",
    "service",
    extensions=closed("health_check", health_check=ENDPOINT),
    receivers=closed("otlp", otlp=OTLP),
    processors=closed(
        memory_limiter=closed(
            "check_interval",
            check_interval=DURATION,
            limit_percentage={"type": "integer", "minimum": 1, "maximum": 100},
            spike_limit_percentage={"type": "integer", "minimum": 1, "maximum": 100},
        ),
        batch=closed(timeout=DURATION, send_batch_size=WHOLE, send_batch_max_size=WHOLE),
    ),
    exporters={
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "patternProperties": {
            r"^otlp_grpc(/\w+)?$": closed(
                "endpoint",
                endpoint=ADDRESS,
                tls=closed(insecure={"type": "boolean"}),
                sending_queue=closed(enabled={"type": "boolean"}, num_consumers=WHOLE, queue_size=WHOLE),
                retry_on_failure=closed(
                    enabled={"type": "boolean"},
                    initial_interval=DURATION,
                    max_interval=DURATION,
                    max_elapsed_time=DURATION,
                ),
            )
        },
    },
    service=closed(
        "pipelines",
        extensions=WORDS,
        telemetry=closed(
            logs=closed(level={"enum": ["debug", "info", "warn", "error"]}),
            metrics=closed(
                readers={
                    "type": "array",
                    "items": closed(
                        "pull",
                        pull=closed(
                            "exporter",
                            exporter=closed(prometheus=closed("host", "port", host={"type": "string"}, port=WHOLE)),
                        ),
                    ),
                }
            ),
        ),
        pipelines=closed(
            "traces", traces=closed("receivers", "exporters", receivers=WORDS, processors=WORDS, exporters=WORDS)
        ),
    ),
)
TEMPO = closed(
    "server",
    "distributor",
    "storage",
    server=closed(http_listen_port=WHOLE, log_level={"enum": ["debug", "info", "warn", "error"]}),
    distributor=closed("receivers", receivers=closed("otlp", otlp=OTLP)),
    ingester=closed(max_block_duration=DURATION),
    compactor=closed(compaction=closed(block_retention=DURATION)),
    storage=closed(
        "trace",
        trace=closed(
            "backend",
            backend={"enum": ["local"]},
            wal=closed("path", path={"type": "string"}),
            local=closed("path", path={"type": "string"}),
        ),
    ),
    usage_report=closed(reporting_enabled={"type": "boolean"}),
)


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def mistakes(schema: dict[str, Any], document: Any) -> list[str]:
    return [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]


def laid_out(name: str, folder: Path) -> Path:
    """What a container sees of the checkout, below `folder`."""
    for mount in SERVICES[name].mounts:
        if not mount.is_volume:
            place = folder / mount.target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to((ROOT / mount.source).resolve())
    return folder


def test_promtool_accepts_the_configuration_with_its_rules(tmp_path: Path):
    """Laid out as in the container, rules in their place beside it."""
    folder = laid_out("prometheus", tmp_path)
    # promtool follows the link before it looks for rules beside the file.
    config = folder / "etc/prometheus/prometheus.yml"
    text = config.read_text()
    config.unlink()
    config.write_text(text)
    done = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(list((ROOT / 'dashboards/rules').glob('*.yml')))} rule files found" in done.stdout


def test_amtool_accepts_the_routes(tmp_path: Path):
    """The file that the container is told to read is there and holds."""
    assert shutil.which("amtool"), "amtool is missing: `make test` installs it"
    config = laid_out("alertmanager", tmp_path) / "etc/alertmanager/alertmanager.yml"
    done = subprocess.run(["amtool", "check-config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_is_a_service_that_prometheus_reaches():
    """And no sidecar and no verifier is left out."""
    targets: dict[str, list[str]] = {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in read("deploy/prometheus/prometheus.yml")["scrape_configs"]
    }
    hosts = {target.rpartition(":")[0] for job, found in targets.items() if job != "prometheus" for target in found}
    reached = {
        name for name, service in SERVICES.items() if set(service.networks) & set(SERVICES["prometheus"].networks)
    }
    assert hosts <= reached
    assert {target.rpartition(":")[0] for target in targets["sidecar"]} == {
        n for n in SERVICES if n.endswith("-sidecar")
    }
    judges = {name for name, service in SERVICES.items() if any("verifiers." in word for word in service.arguments)}
    assert {target.rpartition(":")[0] for target in targets["verifier"]} == judges


def test_exemplars_are_kept():
    """Without the flag Prometheus scrapes them and throws them away."""
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"].arguments


@pytest.mark.parametrize(
    ("path", "schema"), [("deploy/collector/collector.yaml", COLLECTOR), ("deploy/tempo/tempo.yaml", TEMPO)]
)
def test_the_configuration_has_documented_keys_only(path: str, schema: dict[str, Any]):
    """Both programs refuse to start on a key that they do not know."""
    assert mistakes(schema, read(path)) == []


def test_the_schema_would_notice():
    """A key misspelled, a part misplaced, a duration without its unit."""
    document = read("deploy/collector/collector.yaml")
    document["processors"]["batch"] = {"time_out": "1s"}
    document["processors"]["memory_limiter"]["check_interval"] = 1
    del document["receivers"]
    assert len(mistakes(COLLECTOR, document)) == 3


def test_the_pipeline_names_what_is_there():
    """In an order that protects memory first."""
    document = read("deploy/collector/collector.yaml")
    for pipeline in document["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(document[kind])
        assert pipeline["processors"][0] == "memory_limiter" and pipeline["processors"][-1] == "batch"
    assert set(document["service"]["extensions"]) == set(document["extensions"])


def test_spans_find_their_way():
    """From the sidecars to the collector to Tempo, each at a port that the next one opens."""
    collector, tempo = read("deploy/collector/collector.yaml"), read("deploy/tempo/tempo.yaml")
    opened = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    for agent in ("planner", "researcher", "writer", "teller"):
        assert read(f"deploy/compose/{agent}.yaml")["tracing"]["endpoint"] == f"http://collector:{opened}"
    opened = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    assert collector["exporters"]["otlp_grpc/tempo"]["endpoint"] == f"tempo:{opened}"


def test_grafana_finds_its_datasources_and_boards():
    """Each datasource is a service on a network of Grafana's; the provider looks where the boards are mounted."""
    provisioning = ROOT / "dashboards/provisioning"
    sources = [
        one
        for path in (provisioning / "datasources").glob("*.yaml")
        for one in yaml.safe_load(path.read_text())["datasources"]
    ]
    assert {source["type"] for source in sources} >= {"prometheus", "tempo"}
    for source in sources:
        host = source["url"].partition("://")[2].partition(":")[0]
        assert set(SERVICES[host].networks) & set(SERVICES["grafana"].networks), source["url"]
    providers = [
        one
        for path in (provisioning / "dashboards").glob("*.yaml")
        for one in yaml.safe_load(path.read_text())["providers"]
    ]
    mounted = {mount.target for mount in SERVICES["grafana"].mounts if mount.source == "./dashboards/boards"}
    assert {one["options"]["path"] for one in providers} == mounted
    assert list((ROOT / "dashboards/boards").glob("*.json"))
