"""Counting: the numbers of a scenario on which its cost depends (sizes, layers, multiply-adds)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fedchain.engines.engine import cores
from fedchain.forecasts.costs import Configuration, Learning, Method
from fedchain.learning.task import Task
from fedchain.privacy.mechanisms.mechanism import Unit
from fedchain.registry import Part
from fedchain.scenario import Scenario

if TYPE_CHECKING:
    from torch import nn

BYTES = {"int8": 1, "int16": 2, "int32": 4, "float32": 4, "float64": 8}
"""Bytes of one number, by its type."""
ARRAYS = {"gradient_descent": 1, "momentum": 2, "adam": 3, "distance_over_gradients": 2}
"""Arrays of d numbers in the state, by update; a user's own update counts as the plain one."""
AROUND = {"averaged": 1, "filtered": 1}
"""Arrays that an update around another one adds."""


def learning(
    task: Task, clip: float | None, unit: Unit, examples: float, held_out: int
) -> Learning:
    """Count what a holder computes, by one run of the model on one example.

    Args:
        task: its first holder has an example of the right shape.
        clip: bound on gradients; None: none.
        unit: what is clipped.
        examples: of one holder.
        held_out: examples on which the model is measured.
    """
    import torch

    from fedchain.learning.gradients.cohort import PIECE, PIECE_NUMBERS, SEGMENTED, CohortGradients

    gradients = CohortGradients(task, clip, unit)
    example = torch.from_numpy(task.holders[0].inputs[:1].copy())
    layers, products, activations = passed(task.model().eval(), example)
    method: Method = gradients.method
    piece = max(1, min(PIECE, PIECE_NUMBERS // gradients.dimension))
    return Learning(
        examples=examples,
        dimension=gradients.dimension,
        products=products,
        activations=activations,
        layers=layers,
        method=method,
        pieces=math.ceil(examples / (SEGMENTED if method == "segments" else piece)),
        held_out=held_out,
        public=task.subspace.public.count if task.subspace else 0,
    )


def passed(model: nn.Module, example: Any) -> tuple[int, float, float]:
    """Run a model once; count its layers, multiply-adds, and the numbers in their outputs.

    Args:
        model: it is not changed.
        example: a batch of one, as a tensor.

    >>> import torch
    >>> passed(torch.nn.Linear(3, 2), torch.ones(1, 3))
    (1, 6.0, 2.0)
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    handed: list[int] = []

    def note(_: nn.Module, __: object, left: Any) -> None:
        handed.append(left.numel())

    leaves = [layer for layer in model.modules() if not any(layer.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return len(handed), counter.get_total_flops() / 2, float(sum(handed))


def state_arrays(update: Part) -> int:
    """Return how many arrays of d numbers a state has: the weights, and the update's memory.

    >>> state_arrays(Part("averaged", {"of": Part("adam", {"learning_rate": 0.1})}))
    4
    """
    if update.kind in AROUND:
        return AROUND[update.kind] + state_arrays(update.parameters["of"])
    return ARRAYS.get(update.kind, 1)


def configuration(scenario: Scenario, counted: Learning, *, private: bool) -> Configuration:
    """Return the numbers on which the cost of a scenario's round depends.

    Args:
        scenario: checked.
        counted: what a holder computes.
        private: whether noise is drawn.
    """
    nodes, ledger = scenario.nodes, scenario.ledger
    leaves = nodes.asked * scenario.rounds
    drawn = ledger.work.kind == "sampled"  # sampled work is drawn, not searched
    bits = 0 if drawn else ledger.work.parameters.get("difficulty_bits", 0)
    return Configuration(
        holders=nodes.asked,
        learning=counted,
        private=private,
        compute=nodes.miners,
        workers=cores(scenario.engine.parameters.get("workers")),
        storage=BYTES[ledger.storage],
        path=math.ceil(math.log2(leaves)) if nodes.identity == "registered" else 0,
        state=state_arrays(scenario.update),
        weights=BYTES[ledger.weights],
        difficulty_bits=bits,
        measured_every=scenario.evaluate.every,
        members=len(nodes.members_of(0)),
    )
