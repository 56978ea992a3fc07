"""State that outlives an exchange, in domain verbs: what checks ask of a store.

One module is one domain: its nouns, and the port that every store implements. A verb is one atomic step wherever the
state lives, and it is idempotent under the id it is given (an exchange, a charge): one that timed out may be asked
again, and two sidecars of one exchange count it once. Durations are given, moments are the store's own: a fleet agrees
on time by asking one clock. A store that does not answer raises StoreUnavailable.
"""

from sidecar.engine.state.claims import Claims
from sidecar.engine.state.conversations import Conversations, Naming
from sidecar.engine.state.ledger import Ledger
from sidecar.engine.state.pressure import Pressure
from sidecar.engine.state.reach import Reach
from sidecar.engine.state.store import Store
from sidecar.engine.state.tasks import Tasks
from sidecar.engine.state.versions import Versions
from sidecar.engine.state.visits import Visits

__all__ = ["Claims", "Conversations", "Ledger", "Naming", "Pressure", "Reach", "Store", "Tasks", "Versions", "Visits"]
