"""Public root: a task with records that are declared public, for a rule that trusts their gradient.

The public root is a participant of its own. It sends the gradient of the public records in every
round, without clipping and without noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from fedchain.learning.task import PUBLIC_ONLY, Task, tasks
from fedchain.learning.tasks.warm_start import declared_public, worth_of
from fedchain.registry import Part, cites
from fedchain.update import updates


@tasks
@cites("cao2021")
def public_root(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    records: Annotated[int, Field(ge=1)] = 100,
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100,
    update: Annotated[Part, updates] = Part("adam", {"learning_rate": 0.05}),  # noqa: B008
) -> Task:
    """Declare some records public, and give them to a public root that sends their gradient.

    The public records are drawn at random from the records of all holders, and belong to no holder
    afterwards. In each round, the public root sends their mean gradient, neither clipped nor
    noisy: nothing protects the public records. The rule ``fltrust`` compares the other messages
    with this gradient; other rules count it as one more message. The baseline ``public_only`` has
    the metrics of a model that learned from the public records alone.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it draws the public records.
        of: the task.
        records: number of public records, drawn from all holders together; each holder keeps at
            least one record.
        steps: number of training steps for the baseline ``public_only``; each step uses all public
            records.
        update: the update that makes each training step.

    Raises:
        ValueError: the task has no records, a holder would be left without records, or the weights
            of the baseline overflow.

    Reference:
        Cao, Fang, Liu and Gong, FLTrust, NDSS 2021.
    """
    whole = tasks.build(of, holders, seed)
    if not whole.learns:
        raise ValueError(f"task.of: {of.kind} has no records; only a task that learns is allowed")
    if whole.root is not None:
        raise ValueError(f"task.of: {of.kind} has a public root; a chain has one at most")
    root, kept = declared_public(whole.holders, records, seed, "public root")
    baselines = dict(whole.baselines)
    if PUBLIC_ONLY not in baselines:
        baselines[PUBLIC_ONLY] = worth_of(whole, root, steps, update)[1]
    public = whole.public + root.count
    return replace(whole, holders=kept, public=public, root=root, baselines=baselines)
