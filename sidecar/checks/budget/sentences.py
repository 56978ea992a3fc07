"""What the budget check says: one finding for a purse that has too little, one for a purse that nears its end."""

from __future__ import annotations

from typing import Final

from sidecar.checks.budget.budgets import CHECK, HANDED_DOWN, Budget
from sidecar.engine.exchange import Exchange, Mode
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.state.ledger import Balance
from sidecar.engine.state.window import end_of
from sidecar.errors import Reason

MICRO_USD: Final = 1_000_000


def usd(micro_usd: int) -> str:
    """As people write money: two decimals, more only where they say more."""
    sign, whole, rest = "-" if micro_usd < 0 else "", *divmod(abs(micro_usd), MICRO_USD)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"


def exhausted(exchange: Exchange, balance: Balance, budget: Budget | None, needed_micro_usd: int) -> Finding:
    """A call that is refused, or would be if its budget were enforced. `budget` None: the one handed down."""
    left = max(balance.left_micro_usd, 0)
    sentence = (
        f"{title(balance)}: {usd(needed_micro_usd)} USD are needed and {usd(left)} of "
        f"{usd(balance.limit_micro_usd)} are left ({usd(balance.spent_micro_usd)} spent, "
        f"{usd(balance.held_micro_usd)} held){renewal(balance)}"
    )
    return Finding(
        check=CHECK,
        rule="exhausted",
        severity=Severity.ERROR,
        message=sentence,
        reason=Reason.BUDGET_EXHAUSTED,
        mode=mode_of(exchange, budget),
        spec=exchange.spec.name if exchange.spec else "",
        evidence={"budget": balance.purse.budget, "subject": subject(balance), "left_usd": usd(left)},
    )


def near_limit(exchange: Exchange, balance: Balance, budget: Budget | None) -> Finding:
    """The call goes on, and its caller can know before it is refused."""
    left = usd(max(balance.left_micro_usd, 0))
    sentence = (
        f"{title(balance)}: {left} of {usd(balance.limit_micro_usd)} USD are left "
        f"({usd(balance.spent_micro_usd)} spent, {usd(balance.held_micro_usd)} held){renewal(balance)}"
    )
    return Finding(
        check=CHECK,
        rule="near-limit",
        severity=Severity.WARNING,
        message=sentence,
        mode=mode_of(exchange, budget),
        evidence={"budget": balance.purse.budget, "subject": subject(balance), "left_usd": left},
        hint=f"budget; name={name_of(balance)}; remaining_usd={left}",
    )


def mode_of(exchange: Exchange, budget: Budget | None) -> Mode | None:
    return budget.mode_on(exchange) if budget is not None else None


def name_of(balance: Balance) -> str:
    return balance.purse.budget.removeprefix("_")


def title(balance: Balance) -> str:
    if balance.purse.budget == HANDED_DOWN:
        return "the budget handed down with this call"
    return f"budget {balance.purse.budget}"


def subject(balance: Balance) -> str:
    """As QuotaFailure names it: the budget, then whose purse it is."""
    account = balance.purse.account
    return f"budget:{name_of(balance)}:{account}" if account else f"budget:{name_of(balance)}"


def renewal(balance: Balance) -> str:
    end = end_of(balance.purse.window, balance.period)
    return "" if end is None else f"; it starts anew at {end:%Y-%m-%dT%H:%M:%SZ}"
