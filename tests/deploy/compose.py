"""docker-compose.yml and Dockerfile as tests read them: what each service runs, as whom, with what, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")

OWN_ENTRYPOINTS = {
    "prom/prometheus": ["prometheus"],
    "prom/alertmanager": ["prometheus-alertmanager"],  # Debian's name for /bin/alertmanager
    "redis": [],  # its docker-entrypoint.sh hands over to the command
}
"""What other people's images start, by the name that the program has on Debian."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the Dockerfile, with what it inherits from the stage that it builds on."""

    base: str
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    folder: str = "/"
    user: str = "0:0"
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mount:
    """Something at `target`: a file or folder of the checkout, or a named volume."""

    source: str
    target: str
    is_read_only: bool

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith(".")


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    raw: Mapping[str, Any]
    arguments: Sequence[str]
    """Entrypoint and command. The first is a program."""
    folder: str
    environ: Mapping[str, str]
    user: str
    mounts: Sequence[Mount]
    networks: Sequence[str]
    needs: Mapping[str, str]
    """Other services and the condition that each must meet first."""
    health: Sequence[str]
    """The check's own command; empty where there is none."""

    @property
    def image(self) -> str:
        return str(self.raw["image"])


def compose_file() -> dict[str, Any]:
    """The file as YAML has it, merge keys and anchors resolved, variables not yet."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def services() -> dict[str, Service]:
    stages = dockerfile_stages()
    return {name: service(name, filled(raw), stages) for name, raw in compose_file()["services"].items()}


def filled(value: Any) -> Any:
    """With the defaults of its variables, as on a machine where nobody has set any."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: found.group(2) or "", value).replace("$$", "$")
    if isinstance(value, list):
        return [filled(item) for item in value]
    return {key: filled(item) for key, item in value.items()} if isinstance(value, dict) else value


def service(name: str, raw: Mapping[str, Any], stages: Mapping[str, Stage]) -> Service:
    stage = stages[raw["build"]["target"]] if "build" in raw else Stage("")
    entrypoint = raw.get("entrypoint", stage.entrypoint)
    if "build" not in raw:
        entrypoint = OWN_ENTRYPOINTS.get(raw["image"].rpartition(":")[0], entrypoint)
    # An entrypoint of one's own leaves the image's command behind.
    command = raw.get("command", () if "entrypoint" in raw else stage.command)
    return Service(
        name=name,
        raw=raw,
        arguments=[str(word) for word in (*entrypoint, *command)],
        folder=raw.get("working_dir", stage.folder),
        environ={**stage.environ, **{key: str(value) for key, value in raw.get("environment", {}).items()}},
        user=raw.get("user", stage.user),
        mounts=[mount(text) for text in raw.get("volumes", ())],
        networks=list(raw.get("networks", ())),
        needs={other: how["condition"] for other, how in raw.get("depends_on", {}).items()},
        health=health_command(raw.get("healthcheck", {})),
    )


def mount(text: str) -> Mount:
    source, target, *how = text.split(":")
    return Mount(source, target, how == ["ro"])


def health_command(check: Mapping[str, Any]) -> list[str]:
    if check.get("disable") or not check:
        return []
    kind, *words = check["test"]
    return ["/bin/sh", "-c", words[0]] if kind == "CMD-SHELL" else [str(word) for word in words]


def dockerfile_stages() -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    name = ""
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        if instruction == "FROM":
            base, _, name = rest.split()
            parent = stages.get(base, Stage(base))
            stages[name] = Stage(base, parent.entrypoint, parent.command, parent.folder, parent.user, parent.environ)
            continue
        now = stages[name]
        values = {key: getattr(now, key) for key in ("base", "entrypoint", "command", "folder", "user", "environ")}
        match instruction:
            case "ENTRYPOINT":
                values["entrypoint"] = json.loads(rest)
            case "CMD":
                values["command"] = json.loads(rest)
            case "WORKDIR":
                values["folder"] = rest
            case "USER":
                values["user"] = rest
            case "ENV":
                values["environ"] = {**now.environ, **dict(word.split("=", 1) for word in rest.split())}
        stages[name] = Stage(**values)
    return stages


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction and the rest of its line, continued lines joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", lines)
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in found]
