"""What a change says of itself: how far it reaches, and how long it lasts."""

from __future__ import annotations

from sidecar.operator.screen import Screen, say_json
from sidecar.v1 import admin_pb2 as api

REACHES = {
    api.REACH_FLEET: "on every sidecar that shares the store",
    api.REACH_MACHINE: "on every sidecar of this machine that uses the same file",
    api.REACH_PROCESS: "on this sidecar",
    api.REACH_PROCESS_UNTIL_STORE_RETURNS: "on this sidecar for now, and on the others when the store is back",
}


def reach_words(change: api.Change) -> str:
    """`on every sidecar that shares the store, also after a restart`."""
    where = REACHES.get(change.reach, "")
    return f"{where}, {'also after a restart' if change.survives_restart else 'until it restarts'}"


def tell(change: api.Change, sentence: str, *, as_json: bool) -> None:
    """What was done, and how far it reaches; or the change itself, for scripts."""
    if as_json:
        say_json(change)
    else:
        Screen().say(f"{sentence} {reach_words(change)}")
