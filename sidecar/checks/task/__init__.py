"""The task check: does a unit of work go on, once, from state to state as its machine allows, until it ends?

- *report*: what one message says of a task: a state, a sign of progress, an answer.
- *sighting*: a report as the store is asked with it.
- *work*: what a call asks for, apart from what is new in every call; two open tasks of one work are duplicates.
- *sweep*: looking for tasks of which nothing comes.
"""

from sidecar.checks.task.check import TaskCheck
from sidecar.checks.task.sweep import TaskSweep

__all__ = ["TaskCheck", "TaskSweep"]
