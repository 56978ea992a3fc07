"""What it costs to hold a message to its spec, and to say what is wrong with it.

`python -m bench.specs` prints microseconds for one A2A request of about 700 bytes, best and median of rounds in which
the contenders take turns, and then what 10,000 different documents cost under a spec with 20 rules. Compare ratios: the
absolutes drift with the machine.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from jsonpath_rfc9535 import JSONPathEnvironment

from sidecar.checks.spec import judged
from sidecar.engine.exchange import Arrival, Exchange, Route, Side
from sidecar.engine.message import NO_NAMES, Direction, Message, Names
from sidecar.engine.specs import MAX_MATCHES, Match, Schema, Spec, SpecTable, compile_spec, is_deeper
from sidecar.engine.specs import Path as JsonPath
from sidecar.engine.specs.path import library_walk
from sidecar.spec_files import load

EXAMPLES = Path(__file__).parent.parent / "examples" / "specs"
METHOD = "/lf.a2a.v1.A2AService/SendMessage"
PATH = "$.message.parts[*].data"
DOCUMENTS = 10_000
RULES = (
    "has(request.message.messageId)",
    "request.message.messageId.size() > 8",
    "request.message.messageId.matches('^[0-9a-f-]{36}$')",
    "request.message.role == 'ROLE_USER'",
    "request.message.contextId.startsWith('ctx-')",
    "request.message.parts.size() > 0",
    "request.message.parts.size() <= 16",
    "request.message.parts.all(p, !has(p.text) || p.text != '')",
    "request.message.parts.all(p, !has(p.text) || p.text.size() < 10000)",
    "request.message.parts.exists(p, has(p.data))",
    "request.message.parts.all(p, has(p.text) || has(p.data))",
    "request.message.parts.all(p, !has(p.data) || has(p.data.query))",
    "request.message.parts.all(p, !has(p.data) || p.data.limit <= 20)",
    "request.message.parts.filter(p, has(p.text)).size() <= 4",
    "request.message.metadata.tags.all(t, t.size() < 32)",
    "!('secret' in request.message.metadata)",
    "request.message.metadata.origin.step >= 0",
    "edge.caller != edge.callee",
    "edge.method.endsWith('/SendMessage')",
    "sequence == 0",
)
ROUNDS = 21
CALLS = 300

DOCUMENT: dict[str, Any] = {
    "message": {
        "messageId": "6f1d2c1e-9f5c-4a55-9a0c-6a2f5b1f3c11",
        "contextId": "ctx-2f0e9c",
        "role": "ROLE_USER",
        "parts": [
            {"text": "The harbour handled 13.4 million containers last year; say why. " * 6},
            {"data": {"query": "containers", "limit": 5.0, "language": "en", "since": "2024-01-01T00:00:00Z"}},
        ],
        "metadata": {"tags": ["harbour", "trade"], "origin": {"tool": "planner", "step": 3.0}},
    }
}


class Decoded:
    """A codec whose work is done, so that only the check is measured."""

    has_names = False

    def __init__(self, document: Any) -> None:
        self._document = document

    def parse(self, payload: bytes) -> Any:
        return payload

    def document(self, parsed: Any) -> Any:  # noqa: ARG002  # The protocol's signature.
        return self._document

    def names(self, parsed: Any) -> Names:  # noqa: ARG002  # As above.
        return NO_NAMES


def contenders() -> Mapping[str, Callable[[], object]]:
    call = exchange()
    specs = load([EXAMPLES])
    spec = specs.match("planner", "researcher", METHOD)
    assert spec is not None
    broken = copy.deepcopy(DOCUMENT)
    broken["message"]["parts"][1]["data"]["limit"] = 50
    good = Message(Direction.REQUEST, 0, b"", Decoded(DOCUMENT))
    bad = Message(Direction.REQUEST, 0, b"", Decoded(broken))
    raw = {"type": "object", "required": ["message"], "properties": {"message": {"required": ["messageId", "parts"]}}}
    schema, slow = Schema(raw), jsonschema.Draft202012Validator(raw)
    path, library = JsonPath(PATH), library_walk(JSONPathEnvironment().compile(PATH))
    crowd = SpecTable(Spec(f"s{n}/v1", Match(callee=f"agent-{n}", method="/a.B/*")) for n in range(100))
    assert judged(call, spec, spec.request, good) is None
    assert len(judged(call, spec, spec.request, bad) or ()) == 1
    return {
        "check, spec kept": lambda: judged(call, spec, spec.request, good),
        "check, spec broken, with the explanation": lambda: judged(call, spec, spec.request, bad),
        "schema alone": lambda: schema.is_valid(DOCUMENT),
        "schema alone, by jsonschema": lambda: slow.is_valid(DOCUMENT),
        "depth guard (schemas with references)": lambda: is_deeper(DOCUMENT, 128),
        "path, our walker": lambda: path.select(DOCUMENT, MAX_MATCHES),
        "path, jsonpath-rfc9535": lambda: list(library([((), DOCUMENT)])),
        "match, remembered edge": lambda: crowd.match("planner", "agent-50", "/a.B/C"),
        "match, new edge among 100 specs": lambda: crowd._find("planner", "agent-50", "/a.B/C"),
    }


def exchange() -> Exchange:
    """A call of which only the edge is looked at."""
    route = Route("inbound", Side.INBOUND, "planner", "researcher")
    lineage: Any = None
    return Exchange(Arrival(route, METHOD), lineage, "planner", 0, 0)


def twenty_rules() -> tuple[float, float]:
    """Microseconds a document, over 10,000 different ones: all 20 rules, and an empty spec of one rule."""
    messages = [Message(Direction.REQUEST, 0, bytes(700), Decoded(numbered(number))) for number in range(DOCUMENTS)]
    call, all_rules, one_rule = exchange(), ruled(RULES), ruled(("true",))
    return (held(call, all_rules, messages), held(call, one_rule, messages))


def ruled(expressions: tuple[str, ...]) -> Spec:
    rules = [{"id": f"r{number}", "expr": expression} for number, expression in enumerate(expressions)]
    return compile_spec({"spec": "a/v1", "match": {}, "request": {"rules": rules}}, base_uri="file:///a.yaml")


def numbered(number: int) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["message"]["contextId"] = f"ctx-{number}"
    return document


def held(call: Exchange, spec: Spec, messages: list[Message]) -> float:
    started = time.perf_counter()
    broken = sum(judged(call, spec, spec.request, message) is not None for message in messages)
    spent_us = (time.perf_counter() - started) * 1e6
    assert broken == 0
    return spent_us / len(messages)


def measure(work: Callable[[], object]) -> float:
    """Microseconds a call, over one round."""
    started = time.perf_counter()
    for _ in range(CALLS):
        work()
    return (time.perf_counter() - started) / CALLS * 1e6


def main() -> None:
    works = contenders()
    rounds = [{name: measure(work) for name, work in works.items()} for _ in range(ROUNDS)]
    print(f"{'µs':<44}{'best':>8}{'median':>8}")
    for name in works:
        figures = [each[name] for each in rounds]
        print(f"{name:<44}{min(figures):>8.1f}{statistics.median(figures):>8.1f}")
    all_rules, one_rule = twenty_rules()
    print(
        f"\n{DOCUMENTS} documents: {all_rules:.1f} µs each with {len(RULES)} rules, {one_rule:.1f} with the rule `true`"
    )


if __name__ == "__main__":
    main()
