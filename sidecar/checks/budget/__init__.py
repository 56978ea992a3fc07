"""The budget check: may this call be paid for, and what did it cost?

A *budget* is what an operator allows, a *purse* what it allows one account (`engine.state.ledger`). A *bill* is one
exchange's money under way: what is held for it, what was reported, what it cost in the end. The *till* holds and
settles, in the shared ledger or in what stands in for it. A *slice* is the part of a conversation's money that is
handed down with a call where no ledger is shared. A *meeting* is two conversations with money on one exchange.
"""

from sidecar.checks.budget.budgets import Budget, Scope
from sidecar.checks.budget.check import BudgetCheck, Terms
from sidecar.checks.budget.meeting import MeetingCheck
from sidecar.checks.budget.standing import Standing
from sidecar.checks.budget.till import Till

__all__ = ["Budget", "BudgetCheck", "MeetingCheck", "Scope", "Standing", "Terms", "Till"]
