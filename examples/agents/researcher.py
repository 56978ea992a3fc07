"""The researcher: a topic in, facts out.

It expects a data part `{"query": "bridges", "limit": 3}` and answers with one message, whose data part is
`{"topic": ..., "facts": [{"text": ..., "year": ..., "source": ...}]}`. A topic it does not know has no facts.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from a2a.helpers import get_data_parts, new_data_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue

from examples.agents.corpus import look_up
from examples.agents.executor import job_of
from examples.agents.serve import Settings, serve_agent

log = logging.getLogger("agent")

DEFAULT_LIMIT = 3


class Researcher(AgentExecutor):
    """Answers at once, so it needs no task: one message."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        job = job_of(context)
        log.info("received message %s", job.message.message_id)
        question: dict[str, Any] = next(iter(get_data_parts(job.message.parts)), {})
        await event_queue.enqueue_event(new_data_message(answer(question), context_id=job.context_id))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing here takes long enough to be cancelled."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    topic = str(question.get("query", ""))
    facts = look_up(topic, int(question.get("limit", DEFAULT_LIMIT)))
    return {"topic": topic, "facts": [fact.as_data() for fact in facts]}


def build(settings: Settings) -> AgentExecutor:
    del settings  # It has no peers and streams nothing.
    return Researcher()


if __name__ == "__main__":
    serve_agent("researcher", build, sys.argv[1:])
