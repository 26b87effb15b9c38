"""Features: tasks whose model learns from a few linear features of the inputs.

A model of fewer inputs has fewer weights, and so less noise at the same epsilon.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from fedchain.arrays import Array, Matrix, Vector
from fedchain.learning.preparation import Coordinates
from fedchain.learning.task import Records, Task, tasks
from fedchain.learning.tasks.directions import principal_directions, random_directions
from fedchain.learning.tasks.warm_start import (
    beginning_at,
    declared_public,
    with_public,
    without_public,
)
from fedchain.ordered import product
from fedchain.registry import Part, cites
from fedchain.update import updates

UpTo256 = Annotated[int, Field(ge=1, le=256)]


@tasks
@cites("jolliffe2002")
def public_pca(
    holders: int,
    seed: int,
    *,
    of: Annotated[Part, tasks],
    records: Annotated[int, Field(ge=2, le=4096)] = 100,
    directions: UpTo256 = 16,
    warm: bool = False,
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100,
    update: Annotated[Part, updates] = Part("adam", {"learning_rate": 0.05}),  # noqa: B008
) -> Task:
    """Declare some records public, and learn from the inputs along their principal directions.

    Every input is replaced by its coordinates along the directions in which the public inputs vary
    most. The model of the task ``of`` is made for these few coordinates. Nothing protects the
    public records.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it draws the public records.
        of: the task; its records must be rows or pictures that have a class.
        records: number of public records, drawn from all holders together; each holder keeps at
            least one record.
        directions: number of directions, less than ``records``.
        warm: also begin with the weights that were trained on the public records.
        steps: number of training steps on the public records, for the baseline ``public_only`` and
            for ``warm``.
        update: the update that makes each training step.

    Raises:
        ValueError: a holder would be left without records, the public inputs span fewer dimensions
            than there are directions, the task's model fits only its own inputs, or the weights
            overflow.

    Reference:
        Jolliffe, Principal Component Analysis, 2nd edition, 2002.
    """
    if directions >= records:
        raise ValueError(
            f"task.directions: must be less than records = {records}, got {directions}"
        )
    whole = with_other_inputs(of, holders, seed)
    public = flat(declared_public(whole.holders, records, seed)[0].inputs)
    mean = public.sum(axis=0) / len(public)
    basis = principal_directions(public - mean, directions)
    task, _, weights = with_public(seen_along(whole, mean, basis), records, seed, steps, update)
    return beginning_at(task, weights) if warm else task


@tasks
@cites("johnson1984")
def random_projection(
    holders: int, seed: int, *, of: Annotated[Part, tasks], directions: UpTo256 = 16
) -> Task:
    """Learn from the inputs along a few random directions.

    Every input is replaced by its coordinates along orthonormal directions, which need no data. The
    model of the task ``of`` is made for these few coordinates.

    Args:
        holders: number of data holders.
        seed: the seed of the run; it draws the directions.
        of: the task; its records must be rows or pictures that have a class.
        directions: number of directions, at most the number of inputs.

    Raises:
        ValueError: there are more directions than inputs, or the task's model fits only its own
            inputs.

    Reference:
        Johnson and Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, 1984.
    """
    whole = with_other_inputs(of, holders, seed)
    inputs = flat(whole.held_out.inputs).shape[1]
    if directions > inputs:
        words = f"task.directions: must be at most the {inputs} inputs of {of.kind}"
        raise ValueError(f"{words}, got {directions}")
    return seen_along(whole, np.zeros(inputs), random_directions(inputs, directions, seed))


def with_other_inputs(of: Part, holders: int, seed: int) -> Task:
    """Make a task whose model can be made for other inputs.

    Raises:
        ValueError: the task has no records, has public ones, or its model fits only its own inputs.
    """
    whole = without_public(of, holders, seed)
    if whole.model_for is None:
        raise ValueError(
            f"task.of: {of.kind} has a model that fits only its own inputs; allowed: a task of "
            "rows or pictures with classes (breast_cancer, digits, mnist_5k), or views of it"
        )
    return whole


def seen_along(task: Task, mean: Vector, basis: Matrix) -> Task:
    """Return a task whose inputs are coordinates of the inputs of another task.

    Args:
        task: the other task; its model can be made for other inputs.
        mean: what is subtracted from every input, shape (inputs,).
        basis: the directions, shape (inputs, directions).
    """
    assert task.model_for is not None

    def see(inputs: Array) -> Array:
        return coordinates(inputs, mean, basis)

    def prepare() -> torch.nn.Module:
        before = torch.nn.Identity() if task.prepare is None else task.prepare()
        return torch.nn.Sequential(before, Coordinates.of(mean, basis))

    def seen(records: Records) -> Records:
        return replace(records, inputs=see(records.inputs), raw=records.inputs)

    return replace(
        task,
        see=see,
        prepare=prepare,
        holders=tuple(seen(own) for own in task.holders),
        held_out=seen(task.held_out),
        model=task.model_for(basis.shape[1:]),
    )


def coordinates(inputs: Array, mean: Vector, basis: Matrix) -> Array:
    """Return the coordinates of inputs along directions, float32, shape (examples, directions).

    >>> coordinates(np.array([[[3.0, 4.0]]]), np.array([1.0, 0.0]), np.eye(2)[:, ::-1]).tolist()
    [[4.0, 2.0]]
    """
    # Sums in a written order: genesis commits to the coordinates.
    return product(flat(inputs) - mean, basis).astype(np.float32)


def flat(inputs: Array) -> Matrix:
    """Return inputs as rows of float64, shape (examples, inputs)."""
    return inputs.reshape(len(inputs), -1).astype(np.float64)
