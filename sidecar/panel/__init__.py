"""The panel: asks independent verifiers about an answer, all at once, and never takes silence for a pass.

Nouns: a *seat* is one verifier as the panel knows it (connection, description, breaker); a *question* is evidence in
the form that travels; a *breaker* skips a seat that keeps failing; the *backlog* holds what is asked beside the call.
"""

from __future__ import annotations

from sidecar.panel.backlog import BacklogLimits
from sidecar.panel.panel import VerifierPanel
from sidecar.panel.settings import VerifierSettings

__all__ = ["BacklogLimits", "VerifierPanel", "VerifierSettings"]
