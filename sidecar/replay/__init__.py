"""Replay: what a journal recorded, once more, through the specs and checks of today.

- *recorded exchange*: one exchange with its messages, as far as the journal kept them.
- *rerun*: all of them, in their order and at their times, through the real engine with a store of its own; nothing is
  dialled. A *change* is an exchange that would be decided differently.
- *rehearsal*: one conversation's requests sent to a test agent, and its answers held against the recorded ones.
"""

from sidecar.replay.recorded import RecordedExchange, RecordedMessage, recorded_exchanges
from sidecar.replay.rehearsal import Answered, Rehearsal, rehearse
from sidecar.replay.rerun import Change, Rerun, rerun

__all__ = [
    "Answered",
    "Change",
    "RecordedExchange",
    "RecordedMessage",
    "Rehearsal",
    "Rerun",
    "recorded_exchanges",
    "rehearse",
    "rerun",
]
