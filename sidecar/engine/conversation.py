"""A conversation goes by many names; whatever is seen on one exchange names the same one.

A name says where it is unique, so that two agents which count their tasks from 1 do not share a conversation:

- `lineage:<conversation>` as our sidecars carry it
- `trace:<trace id>`
- `context:<callee>:<caller's trust domain>:<contextId>`: callers in one trust domain share contextIds, strangers do not
- `task:<callee>:<taskId>`: the callee makes task ids

`referenceTaskIds` name other work on purpose, so they are never a name of this one.
"""

from __future__ import annotations

import hashlib

from sidecar.engine.message import Names

ID_MAX_CHARS = 256
"""A longer id of a payload, or one that cannot be printed, is kept as its hash: no caller decides how much we hold."""

SPIFFE = "spiffe://"


def aliases_of(callee: str, domain: str, names: Names) -> list[str]:
    """The names that a payload gives to its conversation, in the order in which they are claimed."""
    aliases = []
    if names.context_id:
        aliases.append(f"context:{callee}:{domain}:{bounded(names.context_id)}")
    if names.task_id:
        aliases.append(f"task:{callee}:{bounded(names.task_id)}")
    return aliases


def trust_domain(identity: str | None) -> str:
    """Of a SPIFFE ID (SPIFFE-ID, section 2.1); all other callers are one domain, the empty one."""
    if identity is None or not identity.startswith(SPIFFE):
        return ""
    return identity[len(SPIFFE) :].partition("/")[0].partition(":")[0]


def bounded(identifier: str) -> str:
    """An id of a payload, in a form that is safe to keep."""
    if len(identifier) <= ID_MAX_CHARS and identifier.isprintable():
        return identifier
    digest = hashlib.blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"hash:{digest.hexdigest()}"
