"""Idempotency: the same call, sent again, is not done again.

- `identity`: what a request is known by: its key, its arguments, and what it calls itself
- `hold`: the claim that one exchange has, and what is recorded under it while it passes
- `claiming`: asking a store for a key, and giving back what nobody will use
- `waiting`: duplicates that wait for the first answer, and holders that live longer than their lease
- `duplicate`: what is said about a duplicate, and where it came from
- `check`: the behaviour itself
"""

from sidecar.checks.idempotency.check import IdempotencyCheck, IdempotencySettings

__all__ = ["IdempotencyCheck", "IdempotencySettings"]
