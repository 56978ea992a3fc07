"""The check itself: hold before a call goes out, settle when it has ended, and hand down what it may spend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sidecar.checks.budget.bill import Bill
from sidecar.checks.budget.budgets import CHECK, Budget, Scope, handed_down
from sidecar.checks.budget.reads import CountedTasks, is_read
from sidecar.checks.budget.sentences import exhausted, near_limit
from sidecar.checks.budget.till import Receipt, Till
from sidecar.checks.budget.waste import waste_of
from sidecar.engine.costs import Cost, MoneyReporter, Prices
from sidecar.engine.exchange import Answer, Exchange, Side, Status
from sidecar.engine.finding import Finding
from sidecar.engine.join import TERMINAL_STATES, UNTOLD_STATES, plain_state
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import NoWitness, Witness
from sidecar.engine.replies import was_never_asked
from sidecar.engine.state.ledger import Balance, Hold
from sidecar.engine.usage import NO_USAGE

SLICE_PERCENT: Final = 50
"""Of what is left, what one call is handed: the next still finds something, and so does the one after that."""

INTERRUPTED_STATES: Final = frozenset({"input_required", "auth_required"})
"""A task in one of these waits for its caller, and does nothing by itself."""

DEFAULT_HOLD_MICRO_USD: Final = 10_000
"""Held where only a remainder that came with the call applies, and nobody estimates."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator decides about money."""

    budgets: tuple[Budget, ...] = ()
    is_shared: bool = False
    """Whether the sidecars of a fleet keep one ledger. Then a conversation's purse is the truth wherever it is used."""
    meters_all: bool = False
    """Whether usage is read where no budget asks for it."""


class BudgetCheck:
    """Money, from the first request to the last trailer."""

    name = CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(
        self,
        till: Till,
        prices: Prices,
        reporter: MoneyReporter,
        terms: Terms | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._witness = witness or NoWitness()
        self._till = till
        self._prices = prices
        self._reporter = reporter
        self._terms = terms or Terms()
        self._budgets = {budget.name: budget for budget in self._terms.budgets}
        self._bills: dict[Exchange, Bill] = {}
        """Of open exchanges."""
        self._foreseen: dict[Exchange, Bill] = {}
        """Of requests whose money was asked for ahead."""
        self._tasks = CountedTasks()

    # Hooks.

    async def on_start(self, exchange: Exchange) -> list[Finding] | None:
        """Nothing that came down goes further by itself; a part of it does where the callee's sidecar counts."""
        if exchange.side is Side.INBOUND:
            return None
        exchange.remainder_micro_usd = None
        if exchange.is_guarded_here:
            return None
        holds = list(self._inherited(exchange))
        return await self._hand_down(exchange, holds) if holds else None

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """What a call holds; what is handed down by the caller's sidecar is asked for in order."""
        if message is None or exchange in self._bills or not exchange.is_guarded_here:
            return True
        bill = self._opened(exchange)
        if bill is not None:
            self._foreseen[exchange] = bill
            if bill.holds and bill.estimate_micro_usd:
                self._till.reserve_ahead(exchange, bill.estimate_micro_usd, bill.holds)
        return True

    async def on_message(self, exchange: Exchange, message: Message) -> list[Finding] | None:
        bill = self._bills.get(exchange)
        findings = None
        if bill is None:
            if not exchange.is_guarded_here:
                return None
            bill = self._foreseen.pop(exchange, None) or self._opened(exchange)
            if bill is None:
                return None
            self._bills[exchange] = bill
            findings = await self._reserve(exchange, bill)
        if message.direction is Direction.RESPONSE and not bill.is_slice:
            bill.see(message)
        return findings

    async def on_answer(self, exchange: Exchange, answer: Answer) -> None:
        """All is known now. Where the caller's sidecar handed money down, it hears in the trailers what was spent.

        All other bills are settled at the end, with whatever else is said to the store then.
        """
        bill = self._bills.get(exchange)
        if bill is None or bill.is_slice:
            return
        bill.see_metadata(answer.headers)
        bill.see_metadata(answer.trailers)
        bill.was_turned_away = was_never_asked(exchange, answer) and (answer.is_unseen or bill.meter.usage.is_empty)
        if self._must_account(exchange):
            await self._settle(exchange, bill)
            await self._account_for_slice(exchange)

    async def on_end(self, exchange: Exchange, status: Status) -> None:
        if self._foreseen:
            self._foreseen.pop(exchange, None)
        bill = self._bills.pop(exchange, None)
        if bill is not None and bill.is_slice:
            await self._take_back(exchange, bill)
            return
        if bill is not None:
            if exchange.last_response is not None:
                bill.see(exchange.last_response)  # one that a check before this refused was paid for all the same
            await self._settle(exchange, bill)
            self._tell_waste(exchange, bill, status)
        await self._account_for_slice(exchange)

    # What a call draws on.

    def _opened(self, exchange: Exchange) -> Bill | None:
        """A bill where anything asks for one."""
        terms = exchange.spec.cost if exchange.spec else None
        holds = [budget.hold(exchange) for budget in self._terms.budgets]
        holds += self._from_above(exchange)
        if not holds and terms is None and not self._terms.meters_all:
            return None
        return Bill(holds, self._estimate(exchange, holds), terms)

    def _estimate(self, exchange: Exchange, holds: Sequence[Hold]) -> int | None:
        spec = exchange.spec
        if spec is not None and spec.cost is not None and spec.cost.estimate_micro_usd is not None:
            return spec.cost.estimate_micro_usd
        if is_read(exchange.method):
            return 0
        defaults = [budget.hold_micro_usd for budget in self._terms.budgets]
        return max(defaults, default=DEFAULT_HOLD_MICRO_USD) if holds else None

    def _from_above(self, exchange: Exchange) -> list[Hold]:
        """The remainder that came with this exchange, or with the one that caused it."""
        lineage = exchange.lineage
        whose = lineage.exchange_id if exchange.side is Side.INBOUND else lineage.cause
        if lineage.remainder_micro_usd is None or not whose:
            return []
        return [handed_down(exchange, whose, lineage.remainder_micro_usd)]

    def _inherited(self, exchange: Exchange) -> Iterator[Hold]:
        """What a call of our agent's spends of: its conversation's purses, unless all share them; what came down."""
        if not self._terms.is_shared:
            for budget in self._terms.budgets:
                if budget.scope is Scope.CONVERSATION and (hold := budget.hold(exchange)).is_binding:
                    yield hold
        yield from (hold for hold in self._from_above(exchange) if hold.is_binding)

    # Holding.

    async def _reserve(self, exchange: Exchange, bill: Bill) -> list[Finding] | None:
        if not bill.holds or not bill.estimate_micro_usd:
            return None
        bill.receipt = await self._till.reserve(exchange, bill.estimate_micro_usd, bill.holds)
        if exchange.side is Side.OUTBOUND and bill.receipt.reservation.refused_by is None:
            self._offer(exchange, bill)
        return self._judged(exchange, bill, bill.estimate_micro_usd)

    def _offer(self, exchange: Exchange, bill: Bill) -> None:
        """A callee that may have a sidecar of its own is told half of what is left; nobody has heard from it yet."""
        assert bill.receipt is not None
        purses = {hold.purse for hold in self._inherited(exchange)}
        lefts = [each.left_micro_usd for each in bill.receipt.reservation.balances if each.purse in purses]
        if lefts:
            exchange.remainder_micro_usd = bill.receipt.held_micro_usd + max(min(lefts), 0) * SLICE_PERCENT // 100

    async def _hand_down(self, exchange: Exchange, holds: list[Hold]) -> list[Finding] | None:
        """Take a slice for the call and all that it causes: it is gone from here until the call has ended."""
        if is_read(exchange.method):
            return None
        least = max(self._estimate(exchange, holds) or 0, 1)
        bill = Bill(holds, least, is_slice=True)
        bill.receipt = await self._till.reserve(exchange, least, holds, share_percent=SLICE_PERCENT)
        self._bills[exchange] = bill
        if bill.receipt.reservation.refused_by is None:
            exchange.remainder_micro_usd = bill.receipt.held_micro_usd
            for hold in holds:
                self._reporter.budget_event(hold.purse.budget, "sliced")
        return self._judged(exchange, bill, least)

    def _judged(self, exchange: Exchange, bill: Bill, needed_micro_usd: int) -> list[Finding] | None:
        """Findings of a reservation; None in the common case."""
        assert bill.receipt is not None
        reservation = bill.receipt.reservation
        if not reservation.is_new:
            return None
        if (refused_by := reservation.refused_by) is not None:
            balance = reservation.balances[refused_by]
            self._reporter.budget_event(balance.purse.budget, "refused")
            return [exhausted(exchange, balance, self._budget_of(balance), needed_micro_usd)]
        if bill.is_slice:
            return None
        findings = [self._near(exchange, balance, needed_micro_usd) for balance in reservation.balances]
        return [finding for finding in findings if finding is not None] or None

    def _near(self, exchange: Exchange, balance: Balance, needed_micro_usd: int) -> Finding | None:
        budget = self._budget_of(balance)
        if balance.left_micro_usd < 0:
            self._reporter.budget_event(balance.purse.budget, "exceeded")
            return exhausted(exchange, balance, budget, needed_micro_usd)
        if budget is None or balance.used_micro_usd < budget.warn_at * balance.limit_micro_usd:
            return None
        self._reporter.budget_event(balance.purse.budget, "warned")
        return near_limit(exchange, balance, budget)

    def _budget_of(self, balance: Balance) -> Budget | None:
        return self._budgets.get(balance.purse.budget)

    # Settling.

    async def _settle(self, exchange: Exchange, bill: Bill) -> None:
        """Once: given back if the call never went out, else made true.

        With a common ledger the callee's sidecar settles what the caller's has reserved: it is nearer to the truth.
        """
        if bill.is_settled:
            return
        bill.is_settled, receipt = True, bill.receipt
        if receipt is not None and not self._is_ours(exchange, receipt):
            return
        if bill.was_turned_away or exchange.is_unseen_there or not has_reached_callee(exchange):
            if receipt is not None:
                await self._till.settle(receipt, 0)
            return
        bill.cost = cost = self._cost(exchange, bill)
        if cost is None:
            return
        total = self._total(exchange, cost)
        if receipt is not None and self._is_told_there(exchange, bill):
            bill.is_counted = False
            await self._till.leave(receipt)
        elif receipt is not None:
            bill.is_counted = await self._till.settle(receipt, total)
            self._tell_overdrawn(bill, total)
        elif total and bill.holds:
            bill.is_counted = await self._till.charge(exchange.lineage.exchange_id, bill.holds, total)
        if self._counts(exchange, bill):
            self._reporter.cost_settled(exchange.callee, cost)
            self._witness.charged(exchange, cost)
            self._reporter.edge_charged(exchange.caller, exchange.callee, cost.micro_usd)

    def _is_ours(self, exchange: Exchange, receipt: Receipt) -> bool:
        """Whether there is a hold that we may settle: our own, or that of the caller's sidecar."""
        if receipt.reservation.refused_by is not None:
            return False
        return receipt.reservation.is_new or (self._terms.is_shared and exchange.side is Side.INBOUND)

    def _is_told_there(self, exchange: Exchange, bill: Bill) -> bool:
        """Whether the callee's sidecar knows what it cost and we do not: it saw an answer that it did not let pass."""
        return self._terms.is_shared and exchange.is_guarded_there and bill.meter.usage.is_empty

    def _cost(self, exchange: Exchange, bill: Bill) -> Cost | None:
        reported = bill.meter.usage
        usage = self._tasks.uncounted(exchange, reported)
        if reported.is_empty and is_read(exchange.method):
            return None
        cost = bill.priced(usage, self._prices)
        return None if cost is not None and not cost.micro_usd and usage == NO_USAGE else cost

    def _total(self, exchange: Exchange, cost: Cost) -> int:
        """With what was spent below, where the callee's sidecar told: it is our conversation's money all the same."""
        there = exchange.spent_there_micro_usd if exchange.side is Side.OUTBOUND else None
        return cost.micro_usd if there is None else there

    def _tell_overdrawn(self, bill: Bill, total_micro_usd: int) -> None:
        assert bill.receipt is not None
        if total_micro_usd > bill.receipt.held_micro_usd:
            for hold in bill.holds:
                self._reporter.budget_event(hold.purse.budget, "overdrawn")

    def _counts(self, exchange: Exchange, bill: Bill) -> bool:
        """Whether this sidecar tells the reporter of a call that another one keeps too: of two, one does.

        With a common ledger that is whoever settled; else, or while that is away, the callee's.
        """
        is_common = self._terms.is_shared and bill.receipt is not None and not bill.receipt.is_local
        return bill.is_counted and (is_common or not exchange.is_guarded_there)

    def _tell_waste(self, exchange: Exchange, bill: Bill, status: Status) -> None:
        if bill.cost is None or not bill.cost.micro_usd or not self._counts(exchange, bill):
            return
        if (reason := waste_of(exchange, status)) is not None:
            self._reporter.money_wasted(reason, bill.cost.micro_usd)

    async def _take_back(self, exchange: Exchange, bill: Bill) -> None:
        """What was not spent of a slice comes back. If nobody tells what was, all of it may be."""
        receipt = bill.receipt
        if receipt is None or not receipt.reservation.is_new or receipt.reservation.refused_by is not None:
            return
        spent = 0
        if exchange.was_dispatched:
            told = exchange.spent_there_micro_usd
            spent = receipt.held_micro_usd if told is None else told
        await self._till.settle(receipt, spent)

    def _must_account(self, exchange: Exchange) -> bool:
        """Whether money came with the call, and nobody was told yet what was spent of it."""
        if exchange.side is not Side.INBOUND or exchange.lineage.remainder_micro_usd is None:
            return False
        is_due = exchange.spent_micro_usd is None and exchange.is_guarded_here
        return is_due and bool(self._from_above(exchange))

    async def _account_for_slice(self, exchange: Exchange) -> None:
        """Inbound: tell the caller's sidecar what was spent of its slice, and let nobody spend what goes back.

        A task that goes on keeps its slice: work in the background may still need it.
        """
        if not self._must_account(exchange):
            return
        if not exchange.was_dispatched:
            exchange.spent_micro_usd = 0  # nothing can have been caused
            return
        hold = self._from_above(exchange)[0]
        used = await self._till.used(hold)
        rest = max(hold.limit_micro_usd - used, 0)
        if goes_on(exchange):
            exchange.spent_micro_usd = used + rest
            return
        exchange.spent_micro_usd = used
        if rest:
            await self._till.charge(f"{exchange.lineage.exchange_id}/returned", [hold], rest)


def has_reached_callee(exchange: Exchange) -> bool:
    """Whether there can be anything to pay for: a request that went on, or an answer that came before any did."""
    return exchange.has_passed_request or exchange.responses.messages > 0


def goes_on(exchange: Exchange) -> bool:
    """Whether its task was last seen in a state from which it goes on by itself."""
    state = plain_state(exchange.names.task_state).replace("-", "_")
    return state not in TERMINAL_STATES | UNTOLD_STATES | INTERRUPTED_STATES
