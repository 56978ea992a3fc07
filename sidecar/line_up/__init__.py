"""The line-up: every check, in the order in which it is asked, and the reason for each place beside it.

Here is what each check is built from, the store that they share, and what goes on beside the calls for them: the look
for stuck tasks, how budgets stand, prices that change, charges that are brought in, verifiers that are still at work.

- *line_up*: the order itself.
- *money*: the budget check and what it needs: the list of prices, the till, the spool.
"""

from sidecar.line_up.line_up import LineUp
from sidecar.line_up.money import Money

__all__ = ["LineUp", "Money"]
