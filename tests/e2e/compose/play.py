"""Plays docker-compose.yml once and writes a report: `python -m tests.e2e.compose.play FOLDER IMAGE`, in a machine."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.deploy.compose import Service, services
from tests.e2e.compose.machine import Container, Machine

ABSENT = {"tempo", "grafana"}
"""Not to be had from a package registry."""
STOOD_IN_FOR = {"collector"}

START_LIMIT_S = 240.0
LIMIT_S = 60.0
POLL_S = 1.0
"""Between two rounds of health checks: each is a process, and those that start need the CPU more."""
QUESTION = "moon landings"


class Play:
    def __init__(self, folder: Path, image: Path) -> None:
        self.machine = Machine(folder, services(), image)
        self.report: dict[str, Any] = {"health": {}, "logs": {}}
        self.containers = {
            name: Container(self.machine, service)
            for name, service in self.machine.services.items()
            if name not in ABSENT
        }

    def run(self) -> None:
        self.machine.set_up()
        for container in self.containers.values():
            container.create()
        began_s = time.monotonic()
        try:
            self.start_all()
            self.report["started_s"] = round(time.monotonic() - began_s, 1)
            self.look()
        finally:
            self.stop_all()
            self.report["logs"] = {name: tail(each.log) for name, each in self.containers.items()}

    def start_all(self) -> None:
        """Start what may start, check the health of what runs, until everything is up. Raises TimeoutError."""
        health: dict[str, str] = self.report["health"]
        deadline_s = time.monotonic() + START_LIMIT_S
        self.containers["collector"].start(["python", "/opt/stand-in/span_receiver.py"])
        health["collector"] = "stood in for"
        while set(health) != set(self.containers) or "starting" in health.values():
            for name, container in self.containers.items():
                if name not in health and may_start(container.service, health):
                    container.start()
                    health[name] = "starting"
                elif health.get(name) == "starting":
                    health[name] = state(container)
            if time.monotonic() > deadline_s or "failed" in health.values():
                raise TimeoutError(f"not everything is healthy: {health}")
            time.sleep(POLL_S)

    def look(self) -> None:
        asker = self.containers["traffic"]
        done = asker.run(["python", "-m", "examples.agents.ask", "--to", "planner-sidecar:50051", QUESTION])
        self.report["answer"] = {"exit": done.returncode, "said": done.stdout, "errors": done.stderr}
        self.report["bypass"] = {
            target: self.containers["planner"].run(["python", "-m", "sidecar.health", f"tcp://{target}"]).returncode
            for target in ("planner-sidecar:15001", "researcher-sidecar:50051", self.other_way("researcher-sidecar"))
        }
        self.report["traces"] = self.waited_for(self.traces, lambda traces: any(len(one) == 3 for one in traces))
        self.report["targets"] = self.waited_for(
            self.targets, lambda found: all(up(found, job) for job in ("sidecar", "verifier"))
        )
        self.report["alertmanagers"] = self.prometheus("alertmanagers")["activeAlertmanagers"]
        self.report["rules"] = [rule for group in self.prometheus("rules")["groups"] for rule in group["rules"]]
        self.report["exchanges"] = self.waited_for(
            lambda: self.query('sum by (callee) (sidecar_exchanges_total{side="inbound",code="OK"})'),
            lambda found: len(found) >= 3,
        )
        self.report["exemplars"] = len(
            self.prometheus("query_exemplars?query=sidecar_exchange_duration_seconds_bucket&start=0&end=9999999999")
        )
        self.report["memory_mib"] = {
            name: resident_mib(each) for name, each in self.containers.items() if each.exit_code is None
        }
        self.report["threads"] = {
            name: threads(each) for name, each in self.containers.items() if each.exit_code is None
        }
        self.report["ready"] = self.waited_for(self.states, lambda states: "starting" not in states.values())

    def states(self) -> dict[str, str]:
        checked = {name: each for name, each in self.containers.items() if name not in STOOD_IN_FOR}
        return {name: state(each) for name, each in checked.items()}

    def other_way(self, name: str) -> str:
        """Its address on the fleet's network, which somebody might have written into an agent."""
        return f"{self.machine.addresses[name, 'fleet']}:50051"

    def traces(self) -> list[list[str]]:
        """For each trace, which sidecars told of it."""
        by_trace: dict[str, set[str]] = {}
        for line in self.containers["collector"].log.read_text().splitlines():
            if line.startswith("{"):
                span = json.loads(line)
                by_trace.setdefault(span["trace"], set()).add(span["service"])
        return [sorted(services) for services in by_trace.values()]

    def targets(self) -> list[dict[str, str]]:
        found = self.prometheus("targets")["activeTargets"]
        return [
            {
                "job": one["labels"]["job"],
                "instance": one["labels"]["instance"],
                "health": one["health"],
                "error": one["lastError"],
            }
            for one in found
        ]

    def query(self, expression: str) -> dict[str, float]:
        found = self.prometheus(f"query?query={urllib.request.quote(expression)}")["result"]  # type: ignore[attr-defined]
        return {one["metric"]["callee"]: float(one["value"][1]) for one in found}

    def prometheus(self, path: str) -> Any:
        url = f"http://{self.machine.address('prometheus')}:9090/api/v1/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def waited_for(self, look: Any, is_enough: Any) -> Any:
        """What is seen once it is enough, or when the time is over: a test says what is missing then."""
        deadline_s = time.monotonic() + LIMIT_S
        while not is_enough(seen := look()) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        return seen

    def stop_all(self) -> None:
        """In the order in which Compose stops: who needs others first."""
        self.report["exits"] = {}
        for name in reversed(order(self.machine.services)):
            container = self.containers.get(name)
            if container is not None and container.service.health and name not in STOOD_IN_FOR:
                grace = container.service.raw["stop_grace_period"]
                self.report["exits"][name] = container.stop(float(grace.removesuffix("s")))


def may_start(service: Service, health: Mapping[str, str]) -> bool:
    wanted = {"service_completed_successfully": "completed", "service_healthy": "healthy"}
    return all(health.get(other) == wanted[condition] for other, condition in service.needs.items())


def state(container: Container) -> str:
    code = container.exit_code
    if code is not None:
        return "completed" if code == 0 and not container.service.health else "failed"
    if not container.service.health:
        return "starting"
    limit_s = float(str(container.service.raw["healthcheck"]["timeout"]).removesuffix("s"))
    return "healthy" if container.is_healthy(limit_s) else "starting"


def order(services: Mapping[str, Service]) -> list[str]:
    """Each after all that it needs."""
    done: list[str] = []

    def place(name: str) -> None:
        if name not in done:
            for other in services[name].needs:
                place(other)
            done.append(name)

    for name in services:
        place(name)
    return done


def up(targets: list[dict[str, str]], job: str) -> bool:
    return all(one["health"] == "up" for one in targets if one["job"] == job)


def status(container: Container, key: str) -> int:
    lines = Path(f"/proc/{container.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def resident_mib(container: Container) -> float:
    return round(status(container, "VmRSS") / 1024, 1)


def threads(container: Container) -> int:
    return status(container, "Threads")


def tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []


def main(folder: Path, image: Path) -> None:
    play = Play(folder, image)
    try:
        play.run()
    except Exception as error:
        play.report["trouble"] = f"{type(error).__name__}: {error}"
    (folder / "report.json").write_text(json.dumps(play.report, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
