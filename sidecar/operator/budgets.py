"""`sidecar budgets`: what is left of them, and other limits for a while."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat

import click
from rich.text import Text

from sidecar.operator.line import Line, on_a_line, refuse
from sidecar.operator.screen import (
    BAD,
    BECAUSE_OPTION,
    DIM,
    JSON_OPTION,
    WARN,
    Cell,
    Column,
    Screen,
    coloured,
    number,
    say_json,
    wide,
)
from sidecar.operator.telling import reach_words
from sidecar.operator.words import plain, usd
from sidecar.units import MICRO_USD, BadValue, parse_usd
from sidecar.v1 import admin_pb2 as api


@click.group(invoke_without_command=True)
@click.option("--accounts", type=click.IntRange(1, 100), default=10, show_default=True, help="Accounts shown of each.")
@JSON_OPTION
@on_a_line
def budgets(line: Line, accounts: int, as_json: bool) -> None:
    """Budgets and their fullest accounts. Without a command: list them."""
    request = api.ListBudgetsRequest(accounts=accounts)
    answer = line.listed(line.stub.ListBudgets, request, "budgets")
    if as_json:
        say_json(answer)
        return
    columns = (Column("Budget"), wide("Account"), number("Spent"), number("Held"), number("Left"), number("Limit"))
    rows = [row for budget in answer.budgets for row in rows_of(budget)]
    Screen().table(columns, rows, "No budget is configured.")


def rows_of(budget: api.Budget) -> list[tuple[Cell, ...]]:
    """One for each account, or one that says that nothing was spent."""
    window = "" if budget.window == "none" else f" each {budget.window}"
    limit = coloured(usd(budget.limit_micro_usd) + " !" * budget.is_changed, WARN if budget.is_changed else "")
    name = f"{plain(budget.name)} ({budget.scope}{window})"
    if not budget.accounts:
        return [(name, coloured("nothing spent", DIM), "-", "-", usd(budget.limit_micro_usd), limit)]
    return [
        account_row(name, account, budget, limit)
        for name, account in zip(chain([name], repeat("")), budget.accounts, strict=False)
    ]


def account_row(name: str, account: api.Account, budget: api.Budget, limit: Text) -> tuple[Cell, ...]:
    left = account.limit_micro_usd - account.spent_micro_usd - account.held_micro_usd
    used = account.limit_micro_usd - left
    style = BAD if left <= 0 else WARN if used >= budget.warn_at * account.limit_micro_usd else ""
    whose = plain(account.account) or "all"
    return (
        name,
        whose,
        usd(account.spent_micro_usd),
        usd(account.held_micro_usd),
        coloured(usd(left) if left else "$0", style),
        limit,
    )


@budgets.command(name="set")
@click.argument("budget")
@click.argument("limit_usd", metavar="USD")
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def set_(line: Line, budget: str, limit_usd: str, because: str, as_json: bool) -> None:
    """Put a limit of USD dollars (an account and window) in the place of the configured one."""
    request = api.SetBudgetLimitRequest(budget=budget, limit_micro_usd=micro(limit_usd), because=because)
    tell_limit(line, request, as_json)


@budgets.command()
@click.argument("budget")
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def restore(line: Line, budget: str, because: str, as_json: bool) -> None:
    """Take a changed limit back: the configured one holds again."""
    tell_limit(line, api.SetBudgetLimitRequest(budget=budget, configured=True, because=because), as_json)


@budgets.command()
@click.argument("budget")
@click.argument("account", required=False)
@click.option("--shared", is_flag=True, help="The one account of a budget of scope `global`.")
@BECAUSE_OPTION
@JSON_OPTION
@on_a_line
def reset(line: Line, budget: str, account: str | None, shared: bool, because: str, as_json: bool) -> None:
    """Forget what ACCOUNT (as the list names it) has spent. What is held for calls under way stays held."""
    if (account is None) is not shared:
        refuse("say ACCOUNT, or --shared for a budget that all share; an account is never guessed")
    request = api.ResetBudgetRequest(budget=budget, account=account or "", because=because)
    answer = line.call(line.stub.ResetBudget, request)
    if as_json:
        say_json(answer)
        return
    Screen().say(f"{budget}: {usd(answer.forgotten_micro_usd)} forgotten {reach_words(answer.change)}")


def tell_limit(line: Line, request: api.SetBudgetLimitRequest, as_json: bool) -> None:
    answer = line.call(line.stub.SetBudgetLimit, request)
    if as_json:
        say_json(answer)
        return
    limit = usd(answer.budget.limit_micro_usd) if answer.budget.limit_micro_usd else "$0: nothing goes through"
    Screen().say(f"{answer.budget.name}: the limit is {limit} {reach_words(answer.change)}")


def micro(text: str) -> int:
    try:
        return int(parse_usd(text) * Decimal(MICRO_USD))
    except BadValue as error:
        raise click.UsageError(f"USD: found {text!r}; allowed: {error.allowed}") from error
