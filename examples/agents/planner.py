"""The planner: a person's question in, a paragraph out, with the help of a researcher and a writer.

It asks the researcher within the person's own context, and so passes the contextId on. The writer gets a job of its
own: no contextId, no ids at all, only the facts. Each sentence of the writer is handed on as it comes.
"""

from __future__ import annotations

import sys
from typing import Any

from a2a.helpers import get_data_parts, get_message_text, get_stream_response_text, get_text_parts
from a2a.server.agent_execution import AgentExecutor
from a2a.server.tasks import TaskUpdater
from a2a.types import StreamResponse, TaskState

from examples.agents.executor import Job, Paragraph, TaskError, TaskExecutor
from examples.agents.peer import Peer, PeerError
from examples.agents.serve import Settings, serve_agent

FACTS_WANTED = 3

PATIENCE = 20
"""How often the planner asks for facts that nobody has. It believes that the next answer will be better."""


class Planner(TaskExecutor):
    """Two steps: have it researched, have it written."""

    def __init__(self, researcher: Peer, writer: Peer) -> None:
        self._researcher = researcher
        self._writer = writer

    async def work(self, job: Job, updater: TaskUpdater) -> None:
        topic = get_message_text(job.message).strip()
        findings = await self._research_patiently(topic, job.context_id)
        if not findings["facts"]:
            await Paragraph(updater, "answer").add(f"Nothing is known about {topic!r}.", is_last=True)
            return
        await self._write(findings, Paragraph(updater, "answer"))

    async def _research_patiently(self, topic: str, context_id: str) -> dict[str, Any]:
        for _ in range(PATIENCE):
            findings = await self._research(topic, context_id)
            if findings["facts"]:
                break
        return findings

    async def _research(self, topic: str, context_id: str) -> dict[str, Any]:
        question = {"query": topic, "limit": FACTS_WANTED}
        try:
            async for event in self._researcher.ask(question, context_id):
                return findings_in(event)
        except PeerError as error:
            raise TaskError(f"researcher: {error}") from error
        raise TaskError("researcher: no answer")

    async def _write(self, findings: dict[str, Any], answer: Paragraph) -> None:
        try:
            async for event in self._writer.ask(findings):
                await hand_on(event, answer)
        except PeerError as error:
            raise TaskError(f"writer: {error}") from error


def findings_in(event: StreamResponse) -> dict[str, Any]:
    for data in get_data_parts(event.message.parts):
        return dict(data)
    raise TaskError("researcher: the answer has no data part")


async def hand_on(event: StreamResponse, answer: Paragraph) -> None:
    """A sentence goes on as it is; a writer that gives up ends our task too."""
    if event.HasField("artifact_update"):
        sentence = get_stream_response_text(event)
        await answer.add(sentence, is_last=event.artifact_update.last_chunk)
    elif event.HasField("status_update") and event.status_update.status.state == TaskState.TASK_STATE_FAILED:
        raise TaskError(f"writer: {' '.join(get_text_parts(event.status_update.status.message.parts))}")


def build(settings: Settings) -> AgentExecutor:
    researcher = Peer("researcher", settings.peers["researcher"], is_streaming=False)
    return Planner(researcher, Peer("writer", settings.peers["writer"], is_streaming=True))


if __name__ == "__main__":
    serve_agent("planner", build, sys.argv[1:], needs=("researcher", "writer"))
