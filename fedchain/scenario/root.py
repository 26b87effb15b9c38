"""Root: whether a scenario has a public root, and whether its other values fit that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedchain.errors import Problem
from fedchain.registry import Part

PUBLIC_ROOT = "public_root"
"""Kind of the task with a public root."""
TRUSTS_ROOT = "fltrust"
"""Kind of the aggregation rule that needs a public root."""


def has_root(task: Part) -> bool:
    """Return whether a task, or a task inside it, declares a public root.

    >>> has_root(Part("subset", {"of": Part("public_root", {"records": 100})}))
    True
    """
    return any(part.kind == PUBLIC_ROOT for part in task.nested())


def root_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that a public root can be registered, and that a rule which trusts one has one.

    ``values`` has the checked values of the scenario by their keys.
    """
    nodes, task, rule = (values.get(name) for name in ("nodes", "task", "aggregation"))
    if task is None:
        return
    rooted = has_root(task)
    if rooted and nodes is not None and nodes.identity == "open":
        words = "must be registered where the task declares a public root: with open identities "
        yield Problem(("nodes", "identity"), f"{words}anybody could speak for it, got open")
    if rule is not None and not rooted and any(p.kind == TRUSTS_ROOT for p in rule.nested()):
        around = f"{{kind: {PUBLIC_ROOT}, of: {{kind: {task.kind}, ..}}, records: 100}}"
        words = f"{TRUSTS_ROOT} compares messages with that of a public root, which the task does "
        yield Problem(("aggregation",), f"{words}not declare; write task: {around}")
