"""Loops: work that goes round in circles and brings nothing new.

- `fingerprint` and `likeness` say whether two messages are the same, or nearly
- `detector` says whether the newest visit of a trail is a loop; a pure function
- `reading` says what an exchange is to it: a visit, a read, a retry
- `ladder` says what follows: a warning, a delay, a break
- `check` asks the store, and speaks to the engine
"""

from sidecar.checks.loop.check import LoopCheck, LoopReporter
from sidecar.checks.loop.detector import Kind, Limits
from sidecar.checks.loop.ladder import Ladder

__all__ = ["Kind", "Ladder", "Limits", "LoopCheck", "LoopReporter"]
