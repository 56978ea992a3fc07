"""The writer: facts in, a paragraph out, one sentence after the other.

It expects a data part as the researcher gives it. The paragraph is one artifact in several chunks; a caller that
streams gets each sentence as it is written, one that waits gets the whole.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from a2a.helpers import get_data_parts
from a2a.server.agent_execution import AgentExecutor
from a2a.server.tasks import TaskUpdater

from examples.agents.executor import Job, Paragraph, TaskError, TaskExecutor
from examples.agents.serve import Settings, serve_agent

REMARKS: Mapping[str, str] = {"tunnels": "Some 43 million people travel through them each year."}
"""What the writer adds of its own accord, by topic. It sounds right; no fact that it was given says so."""


class Writer(TaskExecutor):
    """Writes at its own pace."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s

    async def work(self, job: Job, updater: TaskUpdater) -> None:
        sentences = list(sentences_of(findings_in(job)))
        paragraph = Paragraph(updater, "paragraph")
        for number, sentence in enumerate(sentences, 1):
            await asyncio.sleep(self._pace_s)
            await paragraph.add(sentence, is_last=number == len(sentences))


def findings_in(job: Job) -> dict[str, Any]:
    for data in get_data_parts(job.message.parts):
        return dict(data)
    raise TaskError("there is no data part to write from")


def sentences_of(findings: dict[str, Any]) -> Iterator[str]:
    facts = findings.get("facts", [])
    yield f"Here is what is known about {findings.get('topic', 'this')}."
    for fact in facts:
        yield str(fact["text"])
    if remark := REMARKS.get(str(findings.get("topic", "")).strip().casefold()):
        yield remark
    yield f"Sources: {'; '.join(sorted({str(fact['source']) for fact in facts}))}."


def build(settings: Settings) -> AgentExecutor:
    return Writer(settings.pace_s)


if __name__ == "__main__":
    serve_agent("writer", build, sys.argv[1:])
