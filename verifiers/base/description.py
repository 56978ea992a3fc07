"""A description: who answers here, what it can see, and what it must not be trusted with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Description:
    """What a verifier says of itself. The sidecar asks for it once for each connection."""

    name: str
    """Lower case letters, digits and dashes."""
    version: str
    """Of its rules: where it changes, verdicts may."""
    sees: tuple[str, ...]
    """One sentence each: what it can judge."""
    blind_to: tuple[str, ...]
    """One sentence each: what it cannot judge."""
    family: str = ""
    """Verifiers of one family share method, model or data and count once in a quorum. Empty means the name."""
    max_evidence_bytes: int = 4 << 20
    """Larger evidence, as it stands on the wire, is refused."""
    non_deterministic: bool = False
    """The same evidence may get another verdict when it is asked about again."""
