"""What goes on while nothing is wrong: people ask, agents answer, and no call is like the one before it."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sidecar.demo.user import Answer, ask
from tests.e2e.world import World

TOPICS: Final = ("bridges", "moon landings", "lighthouses")
"""What the researcher knows, apart from the two topics on which somebody makes a mistake."""


@dataclass(slots=True)
class Served:
    """What became of ordinary calls. Where they are not served, alerts that stay silent prove nothing."""

    count: int = 0
    failures: list[str] = field(default_factory=list)

    def note(self, answer: Answer) -> None:
        self.count += 1
        if answer.code != "OK" or answer.state not in ("", "COMPLETED"):
            self.failures.append(f"{answer.code} {answer.state} {answer.message or answer.said}")


@asynccontextmanager
async def again_and_again(
    act: Callable[[int], Awaitable[object]], pause_s: float, *, callers: int = 1
) -> AsyncIterator[None]:
    """Act with 0, 1, 2 ... for as long as the block lasts: each of `callers` one at a time, with a pause after each.

    Raises what `act` raised, at the end of the block.
    """
    is_over, numbers = asyncio.Event(), itertools.count()

    async def go_on() -> None:
        for number in numbers:
            await act(number)
            try:
                await asyncio.wait_for(is_over.wait(), pause_s)
            except TimeoutError:
                continue
            return

    tasks = {asyncio.create_task(go_on()) for _ in range(callers)}
    try:
        yield
    finally:
        is_over.set()
        # A call to somebody who hangs would keep us for as long as its deadline.
        await asyncio.wait(tasks, timeout=1.0)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


@asynccontextmanager
async def ordinary_traffic(world: World) -> AsyncIterator[Served]:
    """Everybody is asked something now and then, for as long as the block lasts."""
    served = Served()

    async def noted(ask_one: Callable[[World, int], Awaitable[Answer]], number: int) -> None:
        served.note(await ask_one(world, number))

    async with (
        again_and_again(partial(noted, question), 1.5),
        again_and_again(partial(noted, judged_text), 2.0),
        again_and_again(partial(noted, errand), 0.2),
    ):
        yield served


async def question(world: World, number: int) -> Answer:
    """One at a time: an agent that serves two at once and drops their traces leaves nobody sure what caused what."""
    topic = TOPICS[number % len(TOPICS)]
    return await ask(world.stage.sidecar("planner"), {"text": topic}, is_streaming=number % 3 == 0)


async def judged_text(world: World, number: int) -> Answer:
    """The researcher's facts, written up as a whole, which the verifiers hear."""
    posts = ["writer", *(name for name, post in world.posts.items() if post.program == "writer")]
    return await written_up(world, posts[number % len(posts)], TOPICS[number % len(TOPICS)])


async def written_up(world: World, post: str, topic: str) -> Answer:
    found = await ask(world.stage.sidecar("researcher"), {"data": {"query": topic}})
    return await ask(world.stage.sidecar(post), {"data": found.data})


async def errand(world: World, number: int) -> Answer:
    """One errand for one of the posts, each in its turn."""
    names = ["teller", *(name for name, post in world.posts.items() if post.program != "writer")]
    name = names[number % len(names)]
    program = world.posts[name].program if name in world.posts else "teller"
    if program == "researcher":
        return await ask(
            world.stage.sidecar(name), {"data": {"query": TOPICS[number % len(TOPICS)], "limit": 1 + number % 9}}
        )
    if program == "planner":
        return await ask(world.stage.sidecar(name), {"text": TOPICS[number % len(TOPICS)]})
    return await order(world, name, "pay", fresh_account(), payment=str(uuid.uuid4()), amount_usd=1 + number % 50)


def fresh_account() -> dict[str, Any]:
    return {"id": f"account-{uuid.uuid4()}"}


async def order(
    world: World,
    post: str,
    do: str,
    account: Mapping[str, Any],
    *,
    context_id: str = "",
    is_impatient: bool = False,
    **more: Any,
) -> Answer:
    """Have a teller do something."""
    data = {"do": do, "account": dict(account), **more}
    return await ask(world.stage.sidecar(post), {"data": data}, context_id=context_id, is_impatient=is_impatient)
