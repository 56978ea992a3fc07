"""deploy/kubernetes: built by kustomize, held to the published schemas, and read as a cluster would read it.

There is no cluster here: that the pod starts in this order and that the policy holds is Kubernetes' own promise.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator
from jsonschema import Draft202012Validator

from dashboards.prometheus_rule import RULES, TARGET, rendered
from sidecar import config
from tests.deploy.compose import ROOT

KUBERNETES = "1.37"
FOLDER = ROOT / "deploy" / "kubernetes"
EXAMPLE = FOLDER / "overlays" / "example"
OPERATOR_KINDS = {"PodMonitor": operator.PodMonitor, "PrometheusRule": operator.PrometheusRule}
PLAIN = [
    path
    for path in sorted(FOLDER.rglob("*.yaml"))
    if "apiVersion" in path.read_text() and path.name != "add-sidecar.yaml"
]


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def closed(schema: Any) -> Any:
    """The operator's schema with unknown keys forbidden, as the API server prunes or refuses them."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in inner else inner


def mistakes(document: dict[str, Any]) -> list[str]:
    """What a strict API server would say."""
    kind = document["kind"]
    if kind == "Kustomization":
        return []  # kustomize itself refuses what it does not know
    if kind in OPERATOR_KINDS:
        # Metadata is Kubernetes' own and the same for all; its generated class does not say so in a schema.
        schema = closed(OPERATOR_KINDS[kind].model_json_schema(by_alias=True))
        schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
        found = Draft202012Validator(schema).iter_errors(document)
        return [f"{kind} {'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{kind} {'/'.join(map(str, error.path))}: {error.message}"]
    return []


@pytest.fixture(scope="module")
def built() -> dict[str, dict[str, Any]]:
    """What `kubectl apply -k` would send, by kind."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which has kustomize in it, is not in Debian's archive and not on this machine")
    done = subprocess.run(["kubectl", "kustomize", str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in documents(done.stdout)}


@pytest.fixture(scope="module")
def pod(built: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = built["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def tree(built: dict[str, dict[str, Any]], tmp_path: Path) -> config.Config:
    """The sidecar's configuration as the ConfigMap holds it, laid out as in the pod."""
    for name, text in built["ConfigMap"]["data"].items():
        text = text.replace("/opt/sidecar/specs", str(ROOT / "specs")).replace("/etc/sidecar-keys", str(tmp_path))
        (tmp_path / name).write_text(text)
    (tmp_path / "keys.yaml").write_text(f'- {{id: k1, secret: "{"0" * 64}"}}\n')  # as the docs' command writes it
    return config.load(tmp_path / "sidecar.yaml", {})


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(FOLDER)))
def test_each_file_keeps_the_published_schema(path: Path):
    """Strictly: an unknown key is a mistake."""
    assert [mistake for document in documents(path.read_text()) for mistake in mistakes(document)] == []


def test_what_kustomize_builds_keeps_it_too(built: dict[str, dict[str, Any]]):
    """The Deployment with its sidecar above all: a patch alone has no schema."""
    assert set(built) == {"ConfigMap", "Service", "Deployment", "NetworkPolicy", "PodMonitor", "PrometheusRule"}
    assert [mistake for document in built.values() for mistake in mistakes(document)] == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("base/pod-monitor.yaml", "interval: 15s", "interval: 15x"),
        ("base/pod-monitor.yaml", "scrapeTimeout", "scrapeTimeOut"),
        ("base/network-policy.yaml", "policyTypes", "policyTypez"),
        ("overlays/example/deployment.yaml", "containerPort: 50051", "containerPort: grpc"),
    ],
)
def test_the_schemas_would_notice(name: str, old: str, new: str):
    """A check that accepts everything would have passed as well."""
    text = (FOLDER / name).read_text()
    assert old in text
    assert any(mistakes(document) for document in documents(text.replace(old, new)))


def test_the_rules_are_those_that_are_shipped():
    """`python -m dashboards.prometheus_rule` writes them anew."""
    assert list(RULES.glob("*.yml"))
    assert TARGET.read_text() == rendered()


def test_the_spec_is_the_demo_s():
    """kustomize takes no file from outside its folder, so there are two of it."""
    assert (EXAMPLE / "researcher-spec.yaml").read_text() == (ROOT / "examples/demo/specs/researcher.yaml").read_text()


def sidecar_of(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["initContainers"]
    found: dict[str, Any] = container
    return found


def test_the_sidecar_is_a_native_one(pod: dict[str, Any]):
    """An init container that stays: it is ready before the agent starts and goes after it."""
    assert sidecar_of(pod)["restartPolicy"] == "Always"


def test_the_agent_is_changed_in_nothing_but_where_it_listens_and_when_it_leaves(pod: dict[str, Any]):
    """Attaching must not mean redeploying somebody else's work."""
    (before,) = documents((EXAMPLE / "deployment.yaml").read_text())
    (agent,), (was,) = pod["containers"], before["spec"]["template"]["spec"]["containers"]
    assert {key for key in agent if agent[key] != was.get(key)} == {"args", "ports", "lifecycle"}


def test_calls_find_the_sidecar_and_the_sidecar_finds_the_agent(
    built: dict[str, dict[str, Any]], pod: dict[str, Any], tree: config.Config
):
    """Service → the route's port → the address at which the agent was told to listen."""
    (route,) = tree.routes
    (port,) = built["Service"]["spec"]["ports"]
    assert str(route.listen) == f"0.0.0.0:{port['targetPort']}"
    assert pod["containers"][0]["args"][-1] == str(route.upstream)
    assert (
        built["Service"]["spec"]["selector"].items()
        <= built["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")]
)
def test_probes_ask_the_page_that_the_sidecar_serves(probe: str, path: str, pod: dict[str, Any], tree: config.Config):
    """A liveness probe must not fail while it drains, or the drain is cut short."""
    container = sidecar_of(pod)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = container[probe]["httpGet"]
    assert tree.metrics is not None
    assert (asked["path"], f"0.0.0.0:{ports[asked['port']]}") == (path, str(tree.metrics.listen))


def test_it_drains_before_it_is_killed(pod: dict[str, Any], tree: config.Config):
    """Native sidecars are told last and share what is left of the grace period, here with 20 s for the agent."""
    waits_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits_s + 20.0 + tree.drain.timeout_s + 5.0 <= pod["terminationGracePeriodSeconds"]


def test_it_is_hardened(pod: dict[str, Any]):
    """The restricted Pod Security Standard, and no way to write but where it must."""
    container = sidecar_of(pod)
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["resources"]["limits"]["memory"] and pod["automountServiceAccountToken"] is False
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


def test_the_keys_are_where_the_sidecar_looks_for_them(pod: dict[str, Any], tree: config.Config):
    """And it can read them: the group of the files is the pod's."""
    (volume,) = [one for one in pod["volumes"] if "secret" in one]
    mounts = {mount["name"]: mount["mountPath"] for mount in sidecar_of(pod)["volumeMounts"]}
    assert f"{mounts[volume['name']]}/keys.yaml" in (EXAMPLE / "sidecar.yaml").read_text()
    assert volume["secret"]["defaultMode"] == 0o440 and pod["securityContext"]["fsGroup"] == 10001
    assert [name for name, _ in tree.lineage.read_keys({})] == ["k1"]


def test_no_secret_is_in_the_files():
    """The key comes from a Secret that somebody makes; docs/kubernetes.md has the command."""
    assert [path for path in FOLDER.rglob("*.yaml") if "kind: Secret" in path.read_text()] == []


def test_prometheus_and_the_policy_look_for_what_the_pod_says(built: dict[str, dict[str, Any]], pod: dict[str, Any]):
    """Labels, port names and ports are one story."""
    labels = built["Deployment"]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in sidecar_of(pod)["ports"]}
    monitor, policy = built["PodMonitor"]["spec"], built["NetworkPolicy"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["podMetricsEndpoints"][0]["port"] in ports
    assert {"targetLabel": "job", "replacement": "sidecar"} in monitor["podMetricsEndpoints"][0]["relabelings"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == set(ports.values())


def test_the_policy_lets_the_sidecar_reach_what_it_is_told_to(built: dict[str, dict[str, Any]], tree: config.Config):
    """The store and the collector; a name that DNS may answer."""
    allowed = {port["port"] for rule in built["NetworkPolicy"]["spec"]["egress"] for port in rule["ports"]}
    text = json.dumps(built["ConfigMap"]["data"])
    assert {6379, 4317, 53, 50051} <= allowed
    assert "redis://redis:6379/0" in text and ":4317" in text
