"""The agents that the demo has not got: each an ordinary agent, its sidecar set up for one kind of trouble.

The demo's own four stay as they are. A fault gets a post of its own, so that faults can be injected side by side and
each alert be traced to the one that caused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SEND: Final = "/lf.a2a.v1.A2AService/SendMessage"

ORDER: Final = {
    "parts": [
        {
            "at": "$.message.parts[*].data",
            "required": True,
            "schema": {
                "type": "object",
                "required": ["do", "account"],
                "properties": {
                    "do": {"enum": ["pay", "write", "advise", "audit"]},
                    "account": {"type": "object", "required": ["id"]},
                },
            },
        }
    ]
}
"""What a teller takes."""

PRICED: Final = {"models": [{"name": "house-model", "input_usd_per_mtok": 2.50, "output_usd_per_mtok": 10}]}
"""A piece of advice is 15 cents with these."""

DEAR: Final = {"models": [{"name": "house-model", "input_usd_per_mtok": 25, "output_usd_per_mtok": 100}]}
"""With these it is 1.50 USD."""

RESOURCE: Final = {
    "key": "$.message.parts[0].data.account.id",
    "version": "$.message.parts[0].data.account.version",
}


@dataclass(frozen=True, slots=True)
class Post:
    """One agent and the sidecar beside it."""

    name: str
    program: str = "teller"
    """The module of `examples.agents` that it runs."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its sidecar's configuration has on top of the ordinary."""
    promises: Mapping[str, Any] = field(default_factory=dict)
    """What its spec has on top of what a teller takes; a post that runs another program has the demo's spec."""
    peers: tuple[str, ...] = ()
    """Whom it calls, through outbound routes of its sidecar."""
    verifiers: tuple[str, ...] = ()
    """Programs of `verifiers/` that it has for itself, each as a process of its own."""
    redis: str = ""
    """The address of its store: the post's own `NAME_redis`; empty for memory."""
    sink: str = "sink"
    """Where its spans go."""


def verifier(name: str, fail: str, *, mode: str = "enforce", timeout: str = "5s", failures: int = 3) -> dict[str, Any]:
    """Its address is known once there is a world."""
    breaker = {"failures": failures, "cooldown": "1s"}
    return {"name": name, "mode": mode, "timeout": timeout, "fail": fail, "breaker": breaker}


def shared_budget(name: str, limit_usd: float) -> dict[str, Any]:
    """A budget of an agent, under which calls that nobody estimates hold next to nothing."""
    return {"name": name, "scope": "agent", "limit_usd": limit_usd, "hold_usd": 0.0001}


POSTS: Final[tuple[Post, ...]] = (
    Post("clerk", settings={"loops": {"repeats": 5, "slow": "0s", "cooldown": "20s"}}),
    Post(
        "banker",
        settings={
            "budgets": [{"name": "errands", "scope": "conversation", "limit_usd": 0.50}],
            "prices": PRICED,
        },
        promises={"cost": {"estimate_usd": 0.15}},
    ),
    Post(
        "broker",
        settings={
            "budgets": [{"name": "deals", "scope": "conversation", "limit_usd": 0.50}],
            "prices": PRICED,
        },
        promises={"cost": {"estimate_usd": 0.15}},
    ),
    Post("treasurer", settings={"budgets": [shared_budget("treasurer", 1.00)], "prices": PRICED}),
    Post("bursar", settings={"budgets": [shared_budget("bursar", 1.00)], "prices": PRICED}),
    Post("spender", settings={"prices": DEAR}),
    Post("stranger", settings={"prices": {"models": []}}),
    Post(
        "editor",
        "writer",
        settings={"verifiers": [verifier("editor_grounding", "closed"), verifier("editor_rules", "open")]},
        verifiers=("grounding", "rules"),
    ),
    Post(
        "reader",
        "writer",
        settings={"verifiers": [verifier("reader_rules", "open", timeout="500ms", failures=1000)]},
        verifiers=("rules",),
    ),
    Post(
        "essayist",
        "writer",
        settings={
            "verifiers": [
                *(verifier(f"essayist_{name}", "open") for name in ("grounding", "rules")),
                verifier("essayist_arithmetic", "open", mode="observe"),
            ]
        },
        verifiers=("grounding", "rules", "arithmetic"),
    ),
    Post(
        "printer",
        "writer",
        settings={"verifiers": [verifier(f"printer_{name}", "open", mode="observe") for name in ("schema", "judge")]},
        verifiers=("schema", "judge"),
    ),
    Post("doorman", settings={"pressure": {"limits": [{"callee": "doorman", "concurrency": 1}]}}),
    Post("cashier", settings={"mode": "observe"}, promises={"idempotency": {"key": "$.message.parts[0].data.payment"}}),
    Post("auditor", settings={"tasks": {"stuck_after": "1s"}}, promises={"task": {"machine": "a2a"}}),
    Post("assayer", promises={"task": {"machine": "a2a"}}),
    Post(
        "registrar",
        settings={"mode": "observe"},
        promises={"resource": {"name": "register", **RESOURCE, "writes": True}},
    ),
    Post("archivist", promises={"resource": {"name": "archive", **RESOURCE}}),
    Post("courier", sink="courier_sink"),
    Post("scrivener", settings={"journal": {"to": "sqlite:scrivener-journal.db", "queue": 100}}),
    Post("porter", settings={"pressure": {"retries": {"ratio": 0.2, "mode": "observe"}}}),
    Post("drover"),
    Post("sleeper"),
    Post("novice", "researcher"),
    Post("dispatcher", "planner", peers=("researcher", "writer")),
    Post("lookout"),
    Post("depot", redis="depot_redis"),
    Post("cellar", redis="cellar_redis", promises={"idempotency": {"key": "$.message.parts[0].data.payment"}}),
    Post("quay", redis="quay_redis"),
)
