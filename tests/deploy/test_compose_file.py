"""docker-compose.yml: what the published schema says of it, what it promises of itself, and that its parts fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sidecar import config
from sidecar.app import descriptors_by_route
from sidecar.spec_files import SpecSource
from tests.deploy.compose import ROOT, Mount, compose_file, dockerfile_stages, services

SERVICES = services()
LONG_LIVED = [name for name in SERVICES if name != "lineage-key"]
SIDECARS = [name for name in SERVICES if name.endswith("-sidecar")]
MOUNTS = sorted({mount.source for service in SERVICES.values() for mount in service.mounts if not mount.is_volume})
NAME_AND_PORT = re.compile(r"\b([a-z][a-z-]*):(\d{2,5})\b")


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_keeps_the_compose_specification():
    """The schema is the one that the Compose specification publishes."""
    done = check_schema(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_would_notice(tmp_path: Path):
    """A check that accepts everything would have passed as well."""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("depends_on:", "dependz_on:"))
    assert check_schema(broken).returncode != 0


@pytest.mark.parametrize("source", MOUNTS)
def test_what_it_mounts_is_there(source: str):
    """Docker makes an empty folder of a file that is missing, and the program in the container wonders."""
    assert (ROOT / source).exists()


def test_what_it_mounts_from_here_is_read_only():
    """Nothing in a container writes into the checkout."""
    assert [m for service in SERVICES.values() for m in service.mounts if not m.is_volume and not m.is_read_only] == []


def test_its_volumes_and_networks_are_declared_and_used():
    """No name is misspelled, none is left over."""
    document = compose_file()
    assert {m.source for s in SERVICES.values() for m in s.mounts if m.is_volume} == set(document["volumes"])
    assert {network for s in SERVICES.values() for network in s.networks} == set(document["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name: str):
    """Not root, nothing to write on but what is named, no capability, no way to get one, and a limit on everything."""
    raw, user = SERVICES[name].raw, SERVICES[name].user
    assert raw["read_only"] is True
    assert raw["cap_drop"] == ["ALL"] and "cap_add" not in raw and "privileged" not in raw
    assert raw["security_opt"] == ["no-new-privileges:true"]
    assert raw["mem_limit"] and raw["cpus"] and raw["pids_limit"]
    assert user.partition(":")[0].isdigit() and not user.startswith("0")
    assert raw["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", LONG_LIVED)
def test_each_service_has_a_health_check_and_comes_back(name: str):
    """Except the one that makes the key and is done."""
    assert SERVICES[name].health
    assert SERVICES[name].raw["restart"] == "unless-stopped"


def test_images_are_pinned():
    """By a version, here and in the Dockerfile: the same file starts the same programs tomorrow."""
    stages = dockerfile_stages()
    bases = {stage.base for stage in stages.values()} - set(stages)
    for image in bases | {service.image for service in SERVICES.values()}:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", image), image


def test_ports_are_published_on_this_machine_only():
    """A demo with an admin password that everybody knows must not be found from outside."""
    ports = [port for service in SERVICES.values() for port in service.raw.get("ports", ())]
    assert len(ports) == 4 and all(port.startswith("127.0.0.1:") for port in ports)


def test_only_what_publishes_a_port_has_a_way_out():
    """All other networks are internal; Docker publishes no port from one of those."""
    document = compose_file()
    outside = {name for name, network in document["networks"].items() if not network.get("internal")}
    with_ports = {name for name, service in SERVICES.items() if service.raw.get("ports")}
    assert {name for name, service in SERVICES.items() if outside & set(service.networks)} == with_ports


@pytest.mark.parametrize("agent", ["planner", "researcher", "writer", "teller"])
def test_an_agent_shares_a_network_with_its_sidecar_and_nobody_else(agent: str):
    """So nothing that it says goes past it."""
    (network,) = SERVICES[agent].networks
    assert {name for name, service in SERVICES.items() if network in service.networks} == {agent, f"{agent}-sidecar"}


def test_what_is_waited_for_can_come_true():
    """A condition names a service with a health check, or one that ends."""
    for service in SERVICES.values():
        for other, condition in service.needs.items():
            assert condition == ("service_healthy" if SERVICES[other].health else "service_completed_successfully")


@pytest.mark.parametrize("name", SERVICES)
def test_each_name_that_a_service_is_given_is_one_that_it_can_reach(name: str):
    """Every host:port in its command, its variables and its configuration is a service on one of its networks."""
    service = SERVICES[name]
    texts = [*service.arguments, *service.environ.values()]
    texts += [uncommented(ROOT / mount.source) for mount in configurations(service.mounts)]
    for host, _ in (found for text in texts for found in NAME_AND_PORT.findall(text) if found[0] in SERVICES):
        assert set(service.networks) & set(SERVICES[host].networks), f"{name} cannot reach {host}"


def uncommented(path: Path) -> str:
    return "\n".join(line.partition(" #")[0] for line in path.read_text().splitlines() if not line.startswith("#"))


def configurations(mounts: list[Mount]) -> list[Mount]:
    return [mount for mount in mounts if mount.source.startswith("./deploy/")]


@pytest.mark.parametrize("name", SIDECARS)
def test_each_sidecar_is_configured_without_a_mistake(name: str, tmp_path: Path):
    """Its file and specs laid out as in the container; the paths of the image are those of the checkout."""
    tree = config.load(laid_out(name, tmp_path), {})
    specs = SpecSource(tree.specs, verifiers=[verifier.name for verifier in tree.verifiers])
    descriptors = descriptors_by_route(tree)
    assert tree.agent == name.removesuffix("-sidecar")
    assert all(descriptors.values()) and specs.describe()


@pytest.mark.parametrize("name", SIDECARS)
def test_each_sidecar_drains_before_docker_kills_it(name: str, tmp_path: Path):
    """Calls, then up to five seconds for the last spans."""
    grace_s = float(str(SERVICES[name].raw["stop_grace_period"]).removesuffix("s"))
    assert config.load(laid_out(name, tmp_path), {}).drain.timeout_s + 5.0 <= grace_s


@pytest.mark.parametrize("name", SIDECARS)
def test_each_sidecar_listens_where_others_look_for_it(name: str, tmp_path: Path):
    """Its health check, Prometheus and its callers name ports that its own file opens, on every interface."""
    tree = config.load(laid_out(name, tmp_path), {})
    assert tree.metrics is not None and str(tree.metrics.listen) == "0.0.0.0:9464"
    assert "http://127.0.0.1:9464/readyz" in SERVICES[name].health
    listens = {str(route.listen) for route in tree.routes}
    callers = [text for service in SERVICES.values() for text in service.environ.values()]
    wanted = {port for text in callers for host, port in NAME_AND_PORT.findall(text) if host == name}
    assert {f"0.0.0.0:{port}" for port in wanted} <= listens


def laid_out(name: str, folder: Path) -> Path:
    """The mounts at /etc/sidecar, below `folder`."""
    for mount in SERVICES[name].mounts:
        if mount.target.startswith("/etc/sidecar/"):
            place = folder / Path(mount.target).name
            if (ROOT / mount.source).is_dir():
                place.symlink_to(ROOT / mount.source)
            else:
                text = (ROOT / mount.source).read_text()
                place.write_text(text.replace("/opt/sidecar/specs", str(ROOT / "specs")))
    return folder / "sidecar.yaml"


def test_redis_loses_nothing_that_it_acknowledged():
    """docs/stores.md: appendonly, and on disk before the answer; and it refuses writes rather than forgetting keys."""
    options = dict(zip(SERVICES["redis"].arguments[1::2], SERVICES["redis"].arguments[2::2], strict=True))
    assert options["--appendonly"] == "yes" and options["--appendfsync"] == "always"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_file_says_yaml_of_one_kind():
    """Merge keys are YAML 1.1; the parsers of Compose and of PyYAML agree about them as long as no key is doubled."""
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
