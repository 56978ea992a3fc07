"""The admin service: what an operator sees of a sidecar, and what they change while it runs.

- *gate*: every call passes it. It says who calls and whether they may, reads the request within its bounds, and gives
  the answer a deadline. No method is served past it.
- *access*: identities and roles. A token, a client certificate, or the unix socket; on loopback without any of them one
  may look.
- *recent*: what passed lately, in bounded memory. A reporter, so it can never fail a call.
- *feed*: what passes now, for whoever tails.
- *looking* and *changing*: the methods, those that only read and those that do not.
- *ports*: what they need of the rest of the sidecar; `app` brings it.

It imports the engine and the stubs, and neither the proxy nor the checks, stores or panel that it shows.
"""

from __future__ import annotations

from sidecar.admin.access import Access, Certificates, Token
from sidecar.admin.feed import Feed
from sidecar.admin.ports import BudgetFacts, RouteFacts, VerifierFacts, World
from sidecar.admin.recent import Recent
from sidecar.admin.scorecards import Scorecards
from sidecar.admin.server import AdminServer, AdminSettings

__all__ = [
    "Access",
    "AdminServer",
    "AdminSettings",
    "BudgetFacts",
    "Certificates",
    "Feed",
    "Recent",
    "RouteFacts",
    "Scorecards",
    "Token",
    "VerifierFacts",
    "World",
]
