"""The life of one task, the same for each agent: it begins, it is worked on, it ends well or badly."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import dataclass

from a2a.helpers import new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Message, Task, TaskState, TaskStatus

from examples.agents.peer import PeerError

log = logging.getLogger("agent")


class TaskError(Exception):
    """The task cannot be done. The text is what the caller is told."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one message asks for."""

    message: Message
    task_id: str
    context_id: str


def job_of(context: RequestContext) -> Job:
    """The SDK fills in all three before it calls an executor with a message; only its types leave that open."""
    assert context.message is not None and context.task_id is not None and context.context_id is not None
    return Job(context.message, context.task_id, context.context_id)


class TaskExecutor(AgentExecutor):
    """Opens a task, leaves the work to `work`, and closes it."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        job = job_of(context)
        log.info("received message %s", job.message.message_id)
        updater = TaskUpdater(event_queue, job.task_id, job.context_id)
        await event_queue.enqueue_event(submitted(job))
        await updater.start_work()
        try:
            await self.work(job, updater)
        except (TaskError, *PeerError) as error:
            log.info("task %s failed: %s", job.task_id, error)
            await updater.failed(updater.new_agent_message([new_text_part(str(error))]))
        else:
            await updater.complete()

    @abstractmethod
    async def work(self, job: Job, updater: TaskUpdater) -> None:
        """Do the task, publishing artifacts. Raises TaskError, or what a peer raised."""

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None and context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def submitted(job: Job) -> Task:
    status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
    return Task(id=job.task_id, context_id=job.context_id, status=status, history=[job.message])


class Paragraph:
    """An artifact that is handed over sentence by sentence."""

    def __init__(self, updater: TaskUpdater, name: str) -> None:
        self._updater = updater
        self._name = name
        self._is_begun = False

    async def add(self, sentence: str, *, is_last: bool) -> None:
        await self._updater.add_artifact(
            [new_text_part(sentence)],
            artifact_id=self._name,
            name=self._name,
            append=self._is_begun,
            last_chunk=is_last,
        )
        self._is_begun = True
