"""Faults that cost money."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.faults.fault import Fault, at_instance, shown
from tests.e2e.posts import shared_budget
from tests.e2e.traffic import again_and_again, fresh_account, order
from tests.e2e.world import World


@asynccontextmanager
async def conversation_almost_spent(world: World) -> AsyncIterator[None]:
    """Conversation after conversation takes three pieces of advice of 15 cents each, of its 50."""
    async with again_and_again(lambda _: advised(world, "banker", 3), 1.0):
        yield


@asynccontextmanager
async def conversation_spent(world: World) -> AsyncIterator[None]:
    """Conversation after conversation asks for a fourth piece, which no longer fits."""
    async with again_and_again(lambda _: advised(world, "broker", 4), 1.0):
        yield


async def advised(world: World, post: str, times: int) -> None:
    context_id = str(uuid.uuid4())
    for number in range(times):
        await order(world, post, "advise", fresh_account(), context_id=context_id, question=f"question {number}")


@asynccontextmanager
async def almost_spent(world: World) -> AsyncIterator[None]:
    """Six pieces of advice are nine tenths of what the treasurer may cost. Then the operator allows more."""
    await advised(world, "treasurer", 6)
    yield
    await world.reconfigure("treasurer", {"budgets": [shared_budget("treasurer", 500)]})


@asynccontextmanager
async def spent(world: World) -> AsyncIterator[None]:
    """Somebody goes on asking for advice when the bursar's money is gone. Then the operator allows more."""
    async with again_and_again(lambda _: order(world, "bursar", "advise", fresh_account()), 0.5):
        yield
    await world.reconfigure("bursar", {"budgets": [shared_budget("bursar", 500)]})


@asynccontextmanager
async def spending_spree(world: World) -> AsyncIterator[None]:
    """The spender is asked for advice without a pause: each piece costs 1.50 USD here."""
    async with again_and_again(lambda _: order(world, "spender", "advise", fresh_account()), 0.3):
        yield


@asynccontextmanager
async def unknown_model(world: World) -> AsyncIterator[None]:
    """The stranger's advice comes from a model that no price list has."""
    async with again_and_again(lambda _: order(world, "stranger", "advise", fresh_account()), 0.5):
        yield


FAULTS = (
    Fault(
        "conversations that come near their limit",
        conversation_almost_spent,
        (shown("SidecarConversationBudgetNearlySpent", budget="errands", scope="conversation", event="warned"),),
    ),
    Fault(
        "conversations that ask for more than is left",
        conversation_spent,
        (shown("SidecarConversationBudgetExhausted", budget="deals", scope="conversation", event="refused"),),
        brings=(shown("SidecarConversationBudgetNearlySpent", budget="deals"),),
    ),
    Fault(
        "an agent that has cost nine tenths of its budget",
        almost_spent,
        (shown("SidecarBudgetNearlySpent", budget="treasurer", scope="agent"),),
        brings=(at_instance("SidecarDown", "treasurer"),),
    ),
    Fault(
        "callers that ask on when an agent's budget is gone",
        spent,
        (shown("SidecarBudgetExhausted", budget="bursar", scope="agent", event="refused"),),
        brings=(shown("SidecarBudgetNearlySpent", budget="bursar"), at_instance("SidecarDown", "bursar")),
    ),
    Fault(
        "an agent that spends dollars a second",
        spending_spree,
        (shown("SidecarCostBurnRate", agent="spender"),),
    ),
    Fault(
        "an agent on a model that no price list has",
        unknown_model,
        (shown("SidecarUnpricedCalls", agent="stranger", model="house-model"),),
    ),
)
