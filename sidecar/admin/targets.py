"""Targets: from a request's fields to the name of a control. Whatever is missing or wrong is said with its field.

An empty request is never taken for "all": each name that a target needs must be there.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from sidecar.admin.problem import Problem, invalid
from sidecar.engine.conversation import bounded
from sidecar.engine.state.controls import Kind, Name, pair
from sidecar.engine.state.visits import Break

NAME_CHARS: Final = 1024
"""Longest name in a target."""
BECAUSE_CHARS: Final = 500


def because_in(request: Any) -> str:
    """Why, which every change has to say."""
    because: str = request.because.strip()
    if not because:
        raise invalid("because", "say why, in a sentence for whoever reads it later")
    if len(because) > BECAUSE_CHARS:
        raise invalid("because", f"at most {BECAUSE_CHARS} characters; found {len(because)}")
    return because


def name_of(request: Any) -> Name:
    """The control that a request's target names."""
    target = request.target
    what = target.WhichOneof("what")
    if what is None:
        raise invalid("target", "one of agent, edge, conversation and task")
    if what == "agent":
        return Name(Kind.AGENT, said(target.agent, "target.agent"))
    if what == "conversation":
        return Name(Kind.CONVERSATION, said(target.conversation, "target.conversation"))
    if what == "edge":
        return Name(Kind.EDGE, pair(*edge_in(target.edge, "target.edge")))
    task = said(target.task.task, "target.task.task")
    return Name(Kind.TASK, pair(said(target.task.callee, "target.task.callee"), bounded(task)))


def edge_in(edge: Any, where: str) -> tuple[str, str, str]:
    caller, callee, method = (said(getattr(edge, name), f"{where}.{name}") for name in ("caller", "callee", "method"))
    if not method.startswith("/"):
        raise invalid(f"{where}.method", f"the full name with its slash: /package.Service/Method; found {method[:200]}")
    return caller, callee, method


def said(name: str, where: str) -> str:
    if not name:
        raise invalid(where, "a name; nothing never means all")
    if len(name) > NAME_CHARS:
        raise invalid(where, f"at most {NAME_CHARS} characters; found {len(name)}")
    if not name.isprintable():
        raise invalid(where, "printable characters")
    return name


def loop_id(broken: Break) -> str:
    """Names a break for ResumeLoop."""
    named = json.dumps([broken.conversation, broken.edge_id, broken.family.fingerprint])
    return base64.urlsafe_b64encode(named.encode()).decode().rstrip("=")


def loop_in(text: str) -> tuple[str, int, int]:
    """Conversation, edge and fingerprint of what `loop_id` named."""
    try:
        if not 0 < len(text) <= NAME_CHARS:
            raise ValueError
        named = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        conversation, edge_id, fingerprint = named
        is_good = isinstance(conversation, str) and all(
            isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 2**64
            for each in (edge_id, fingerprint)
        )
        if not is_good:
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise bad_loop() from None
    return conversation, edge_id, fingerprint


def bad_loop() -> Problem:
    return invalid("id", "the id of a loop as ListLoops gives it")
