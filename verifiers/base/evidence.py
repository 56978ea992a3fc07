"""Evidence: one exchange between agents, as a verifier is shown it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

JSON: TypeAlias = Any
"""Whatever `json.loads` gives. A recursive type would promise a shape that no judge may rely on."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged. Never credentials, never metadata of the call."""

    exchange_id: str
    caller: str
    callee: str
    method: str
    """With its slash: `/lf.a2a.v1.A2AService/SendMessage`."""
    spec: str
    """The spec that asks for this verdict."""
    request: JSON | None
    """The request's document; None where there is none."""
    response: JSON | None
    """The response's document; None where the request itself is to be judged."""
    conversation: str = ""
    trace_id: str = ""
    hops: int = 0
    """Exchanges between this one and the root of its conversation."""
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the spec tells this verifier. Their meaning is the verifier's own."""
    is_cut_off: bool = False
    """The response is a stream's that was longer than the sidecar keeps: its beginning and its end."""
