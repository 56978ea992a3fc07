"""The consistency check: is what an agent reads as new as what it knew, and is what it writes its own to write?

- *resource*: what a spec's `resource` block names; one of them is found by its *key*, and is at a *version*.
- *token*: a version in the form in which the store compares it.
- *base*: the version that a write says it was made from.
"""

from sidecar.checks.consistency.check import ConsistencyCheck

__all__ = ["ConsistencyCheck"]
