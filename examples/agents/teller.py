"""The teller: keeps accounts, and does what it is told, as often as it is told.

It expects a data part and answers with one message, whose data part is the account as it stands now:

- `{"do": "pay", "account": {"id": "alice"}, "amount_usd": 20}` takes money; told twice, it pays twice
- `{"do": "write", "account": {"id": "alice", "limit_usd": 500}}` overwrites, whatever stands there now
- `{"do": "advise", "account": {"id": "alice"}}` has a model think about it, and says what that took
- `{"do": "audit", "account": {"id": "alice"}}` opens a task on which nobody works
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import asdict, dataclass
from typing import Any

from a2a.helpers import get_data_parts, new_data_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from google.protobuf.json_format import ParseDict

from examples.agents.executor import Job, job_of, submitted
from examples.agents.serve import Settings, serve_agent

log = logging.getLogger("agent")

MODEL = "house-model"
THOUGHT = {"model": MODEL, "input_tokens": 20_000, "output_tokens": 10_000}
"""What one piece of advice takes, as the model's provider would report it."""


@dataclass(slots=True)
class Account:
    """What stands in the book. The version counts changes."""

    id: str
    version: int = 1
    balance_usd: int = 1_000
    limit_usd: int = 100


class Teller(AgentExecutor):
    """One book, in this process."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._book: dict[str, Account] = {}

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        job = job_of(context)
        log.info("received message %s", job.message.message_id)
        order: dict[str, Any] = next(iter(get_data_parts(job.message.parts)), {})
        if order.get("do") == "audit":
            await self._audit(job, event_queue)
            return
        account = self._account(order)
        await self._do(order, account)
        answer = new_data_message({"account": asdict(account)}, context_id=job.context_id)
        if order.get("do") == "advise":
            ParseDict({"usage": THOUGHT}, answer.metadata)
        await event_queue.enqueue_event(answer)

    def _account(self, order: dict[str, Any]) -> Account:
        name = str(dict(order.get("account", {})).get("id", ""))
        return self._book.setdefault(name, Account(name))

    async def _do(self, order: dict[str, Any], account: Account) -> None:
        await asyncio.sleep(self._pace_s)
        if order.get("do") == "pay":
            account.balance_usd -= int(order["amount_usd"])
            account.version += 1
            log.info("paid %s from %s", order["amount_usd"], account.id)
        elif order.get("do") == "write":
            account.limit_usd = int(order["account"]["limit_usd"])
            account.version += 1
            log.info("wrote %s", account.id)

    async def _audit(self, job: Job, event_queue: EventQueue) -> None:
        """The task is begun, and then the work is forgotten, which happens to the best."""
        await event_queue.enqueue_event(submitted(job))
        await TaskUpdater(event_queue, job.task_id, job.context_id).start_work()
        await asyncio.Event().wait()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None and context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def build(settings: Settings) -> AgentExecutor:
    return Teller(settings.pace_s)


if __name__ == "__main__":
    serve_agent("teller", build, sys.argv[1:])
