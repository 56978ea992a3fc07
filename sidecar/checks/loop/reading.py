"""What an exchange is to a loop check: a visit or a read, the key by which it is a retry, and what was answered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from jsonpath_rfc9535 import JSONPathError

from sidecar.checks.loop.detector import NEAR_ANSWER_BITS
from sidecar.checks.loop.fingerprint import (
    fingerprint_of,
    hashed,
    hashed_text,
    read_by,
    statement_of,
)
from sidecar.checks.loop.likeness import likeness_of, weighed, words_of
from sidecar.engine.canonical import arguments_of
from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Exchange, Origin, Status
from sidecar.engine.message import JSON, NO_NAMES, Message, Names
from sidecar.engine.specs import Path
from sidecar.engine.state.visits import Answered, Edge, Visit
from sidecar.errors import MalformedMessage

READ: Final = re.compile(r"(?:Get|List|Subscribe)(?![a-z])")
"""Methods that only read, by the first word of their name: A2A's, and Google's standard methods (AIP-131, AIP-132)."""

AT_WORK: Final = frozenset({"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "submitted", "working"})
"""States of a task whose outcome is still to come."""

OWN_IDS: Final = ("id", "taskId", "task_id")
"""Fields in which an answer names itself. In a request they are part of the question."""

SUBSTANCE_MIN_WORDS: Final = 3
"""An answer of fewer words beyond its question's (`ok`, `created`, an empty list) is like every other such answer."""

HEARD_MAX_BYTES: Final = 1024 * 1024
"""Of the answers of one exchange. What comes later is not looked at."""

WORDS_MAX: Final = 4_000
"""Different words of one exchange that are compared."""


EDGES_MAX: Final = 1_024
"""Edges whose hashes are remembered: 1 MB where callers invent the longest methods."""


def is_read(exchange: Exchange) -> bool:
    """Whether the call only reads: its spec says so of a resource, else the method's name does."""
    spec = exchange.spec
    if spec is not None and spec.resource is not None:
        return not spec.resource.writes
    return READ.match(exchange.method.rpartition("/")[2]) is not None


def edge_of(exchange: Exchange) -> Edge:
    """Callers choose their names and methods, so long ones are kept as hashes."""
    return Edge(bounded(exchange.caller), exchange.callee, bounded(exchange.method))


@lru_cache(EDGES_MAX)
def hashes_of(edge: Edge) -> tuple[int, int, int]:
    """Of the edge itself, its caller and its callee."""
    return hashed_text(*edge), hashed_text(edge.caller), hashed_text(edge.callee)


@dataclass(slots=True)
class Question:
    """The first request of an exchange."""

    visit: Visit
    words: set[str]
    is_readable: bool
    """Whether it can be compared with others: an unread one is like nothing but itself."""


def question_of(exchange: Exchange, request: Message) -> Question:
    """Never fails: what cannot be read is recorded as a visit that resembles no other."""
    own = hashed_text(exchange.lineage.exchange_id)
    ids = (own, *hashes_of(edge_of(exchange)))
    read = read_by(asked_in, request)
    if read is None:
        return Question(Visit(*ids, own, likeness_of([f"{own:x}"])), set(), is_readable=False)
    fingerprint, words = read
    visit = Visit(*ids, fingerprint, likeness_of(words), key_of(exchange, request))
    return Question(visit, words, is_readable=True)


def asked_in(document: JSON) -> tuple[int, set[str]]:
    """Fingerprint and words of a request. Raises RecursionError or ValueError for one too deep."""
    arguments = arguments_of(document)
    return fingerprint_of(arguments), words_of(arguments)


def key_of(exchange: Exchange, request: Message) -> int:
    """By what a retry says that it is one: the key that its spec names, else A2A's messageId; 0 for none.

    Deeper in the chain the same id is no retry: an agent has passed on the message that it was given.
    """
    terms = exchange.spec.idempotency if exchange.spec is not None else None
    if terms is not None and terms.key is not None:
        key = selected_key(terms.key, request.document)
    else:
        key = names_in(request).message_id
    return hashed_text(key, str(exchange.lineage.hops)) if key else 0


def selected_key(path: Path, document: JSON) -> str:
    try:
        return next((f"{value}" for _, value in path.select(document, limit=1)), "")
    except JSONPathError:
        return ""  # a document too deep for the path has no key


def names_in(message: Message) -> Names:
    try:
        return message.names
    except MalformedMessage:
        return NO_NAMES


@dataclass(slots=True)
class Listening:
    """What is heard of one exchange's answers, until it ends."""

    exchange: int
    asked: set[str]
    """Words of the request: repeating them adds nothing."""
    is_read: bool
    said: set[str] = field(default_factory=set)
    own_ids: list[str] = field(default_factory=list)
    """Ids that the answers gave themselves, which are new each time."""
    heard_bytes: int = 0
    was_turned_away: bool = False
    """Whether the callee's own sidecar said that the callee has not seen the request."""

    def hear(self, message: Message) -> None:
        """One answer, or one message of a stream."""
        if self.is_read and names_in(message).task_state in AT_WORK:
            return  # polls that see nothing new are many, and reading costs
        if self.heard_bytes >= HEARD_MAX_BYTES or len(self.said) >= WORDS_MAX:
            return
        self.heard_bytes += message.size_bytes
        statement = read_by(statement_of, message)
        if statement is None:
            self.said.add(f"{hashed(message.payload):x}")
            return
        words = words_of(statement)
        # Nearly always there is one answer: then its words need not be added to any.
        self.said = self.said | words if self.said else words
        self.own_ids += own_ids_in(statement)

    def answer(self, exchange: Exchange, status: Status) -> Answered | None:
        """What came of it; None where that says nothing of any visit."""
        names = exchange.names
        task = hashed_text(exchange.callee, names.task_id) if names.task_id else 0
        is_undecided = status.origin is Origin.DOWNSTREAM or names.task_state in AT_WORK
        if self.is_read and (is_undecided or not task or status.code != "OK"):
            return None
        if is_undecided:
            return Answered(task=task, is_undecided=True)
        said = self.said - words_of([*self.own_ids, names.task_id, names.context_id, names.message_id])
        is_error = status.code != "OK"
        if is_error:
            said |= words_of([status.code, status.message])
        added = weighed(said - self.asked)
        has_substance = is_error or len(added) >= SUBSTANCE_MIN_WORDS
        # A label may be one of those that the question offers: then it is all that there is to compare.
        digest = hashed_text(*sorted(added if has_substance else said))
        return Answered(likeness_of(added) if has_substance else 0, digest, task, radius=NEAR_ANSWER_BITS)


def own_ids_in(statement: JSON) -> list[str]:
    """The ids of an answer itself, or of a thing in it (`id`, `task.id`, `statusUpdate.taskId`)."""
    if not isinstance(statement, dict):
        return []
    holders = [statement, *[each for each in statement.values() if isinstance(each, dict)]]
    return [holder[name] for holder in holders for name in OWN_IDS if isinstance(holder.get(name), str)]
