"""What a post's sidecar is told: its configuration and its spec, written afresh for each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sidecar.demo.stage import Stage
from tests.e2e.posts import ORDER, SEND, Post


def write(stage: Stage, post: Post, sink: str) -> None:
    """Write both files. `sink` is the span receiver's `host:port`."""
    dump(stage, post, "spec", spec_of(stage, post))
    dump(stage, post, "sidecar", config_of(stage, post, sink))


def dump(stage: Stage, post: Post, what: str, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(content), sort_keys=False)
    path_of(stage, post, what).write_text(text, encoding="utf-8")


def path_of(stage: Stage, post: Post, what: str) -> Any:
    return stage.folder / f"{post.name}-{what}.yaml"


def config_of(stage: Stage, post: Post, sink: str) -> dict[str, Any]:
    specs = [str(path_of(stage, post, "spec"))]
    specs += [
        str(stage.root / "examples" / "demo" / "specs" / f"{peer}.yaml")
        for peer in ("researcher",)
        if peer in post.peers
    ]
    config = {
        "agent": post.name,
        "mode": "enforce",
        "routes": [inbound(stage, post), *(outbound(stage, post, peer) for peer in post.peers)],
        "descriptors": [str(stage.root / "specs" / "a2a" / "a2a_v1.binpb")],
        "specs": specs,
        "lineage": {"keys": [{"id": "demo", "secret_file": str(stage.folder / "lineage.key")}]},
        "metrics": {"listen": stage.metrics(post.name)},
        "admin": {"listen": f"unix:{stage.admin(post.name)}"},
        "tracing": {"exporter": "otlp", "protocol": "grpc", "endpoint": f"http://{sink}", "schedule_delay": "100ms"},
    }
    if post.redis:
        config["store"] = f"redis://{stage.addresses[post.redis]}/0"
    return config | placed(stage, post)


def placed(stage: Stage, post: Post) -> dict[str, Any]:
    """The post's settings, with the addresses of its own verifiers."""
    settings = dict(post.settings)
    if post.verifiers:
        addressed = [{**entry, "address": stage.addresses[entry["name"]]} for entry in settings["verifiers"]]
        settings["verifiers"] = addressed
    return settings


def inbound(stage: Stage, post: Post) -> dict[str, Any]:
    return {
        "name": "inbound",
        "listen": stage.sidecar(post.name),
        "upstream": stage.agent(post.name),
        "caller": "user",
        "callee": post.name,
    }


def outbound(stage: Stage, post: Post, peer: str) -> dict[str, Any]:
    return {
        "name": f"to-{peer}",
        "listen": stage.way_out(post.name, peer),
        "upstream": stage.sidecar(peer),
        "caller": post.name,
        "callee": peer,
        "deadline": "10s",
    }


def spec_of(stage: Stage, post: Post) -> dict[str, Any]:
    """What a teller takes, or the demo's own spec of the program that it runs, and what the post promises on top."""
    if post.program == "teller":
        spec = {"match": {"callee": post.name, "method": SEND}, "request": ORDER}
    else:
        path = stage.root / "examples" / "demo" / "specs" / f"{post.program}.yaml"
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec["match"]["callee"] = post.name
    if post.verifiers:
        spec["verifiers"] = own_panel(spec["verifiers"], post)
    return spec | {"spec": f"{post.name}/v1"} | dict(post.promises)


def own_panel(panel: Mapping[str, Any], post: Post) -> dict[str, Any]:
    """The demo's panel, with the post's own verifiers in the places of those that it has."""
    names = {name: f"{post.name}_{name}" for name in post.verifiers}
    parameters = {names[name]: given for name, given in panel["parameters"].items() if name in names}
    quorum = min(panel["quorum"], len(names))
    return {**panel, "require": list(names.values()), "quorum": quorum, "parameters": parameters}
