"""The engine: private gradients of many data holders at once, equation (6).

Every holder stands at the same weights. Holders go to Python threads, each with one torch
thread and a model of its own, and a holder's records go through in pieces of one fixed size: a
row depends on the weights and on its holder, and on nothing else.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedchain.arrays import Matrix, Vector
from fedchain.learning.allocation import keep_freed_memory
from fedchain.learning.clipping import clipped_sum, dense_clipped_sum, is_dense
from fedchain.learning.example_gradients import by_layers, fitting_way
from fedchain.learning.task import Array, Records, Task
from fedchain.learning.weights import dimension, layout, load_weights

PIECE, PIECE_NUMBERS = 100, 4_000_000
"""Examples that go through the model together, and a bound on the numbers that their gradients
are: large enough to hide the cost of a call, small enough for the memory of a small machine."""


@dataclass(frozen=True)
class _Holder:
    """The records of one holder as tensors."""

    inputs: Tensor
    targets: Tensor
    record: Tensor | None
    """Number of each example's record, rising; None: each example is one."""
    count: int

    def pieces(self, size: int) -> Iterator[slice]:
        """Yield the examples that go through the model together, ``size`` at a time."""
        for start in range(0, len(self.inputs), size):
            yield slice(start, start + size)


class CohortGradients:
    """Computes the mean clipped gradient of each of many holders at the same weights.

    g_k = (1/n_k) sum_i clip_C(grad loss(w; record i of holder k)). A record with several
    examples has the sum of their gradients, clipped as a whole. With unit "holder" the holder's
    mean gradient is clipped as a whole instead; with an infinite clip nothing is.

    Reference:
        LearningChain equation (6), reconstructed.
    """

    def __init__(
        self,
        task: Task,
        clip: float | None,
        unit: Literal["record", "holder"] = "record",
        workers: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Copy the model for every worker, and choose the way to single examples' gradients.

        Args:
            task: data of the holders, model and loss.
            clip: bound on the 2-norm of a unit's gradient; None or inf: none.
            unit: what the clip bounds: each record, or the holder's mean.
            workers: Python threads, 1 or more; the rows do not depend on it.
            dtype: of the computation; float64 is for tests.

        Raises:
            ValueError: the model has a layer that mixes examples.
        """
        keep_freed_memory()
        module = task.model().to(dtype).eval()
        _refuse_mixing(module)
        for layer in module.modules():
            if hasattr(layer, "inplace"):
                setattr(layer, "inplace", False)  # noqa: B010 - what a layer was given must survive it
        self.dimension = dimension(layout(module))
        self._piece = max(1, min(PIECE, PIECE_NUMBERS // self.dimension))
        self._clip = math.inf if clip is None else clip
        self._unit = unit
        self._loss = task.loss
        self._holders = [_tensors(records, dtype) for records in task.holders]
        few = self._holders[0].inputs[:2], self._holders[0].targets[:2]
        self._examples = fitting_way(module, task.loss, *few)
        self._dense = self._examples is by_layers and is_dense(module) and few[0].ndim >= 2
        self._modules = [copy.deepcopy(module) for _ in range(workers)]
        self._free: SimpleQueue[nn.Module] = SimpleQueue()
        for each in self._modules:
            self._free.put(each)
        self._threads = ThreadPoolExecutor(
            workers, "gradients", initializer=torch.set_num_threads, initargs=(1,)
        )

    def __call__(self, weights: Vector, holders: Sequence[int]) -> Matrix:
        """Return the gradients of these holders at the weights.

        Args:
            weights: (d,) float64; used in the engine's own type.
            holders: numbers of the holders, in any order.

        Returns:
            Shape (len(holders), d), one row a holder, in the order asked.
        """
        for module in self._modules:
            load_weights(module, weights)
        rows = np.empty((len(holders), self.dimension))
        for place, row in enumerate(self._threads.map(self._row, holders)):
            rows[place] = row
        return rows

    def _row(self, number: int) -> Vector:
        module = self._free.get()
        try:
            return self._mean(module, self._holders[number])
        finally:
            self._free.put(module)

    def _mean(self, module: nn.Module, holder: _Holder) -> Vector:
        clipped = self._unit == "record" and math.isfinite(self._clip)
        pieces = self._clipped(module, holder) if clipped else self._plain(module, holder)
        total = torch.zeros(self.dimension, dtype=torch.float64)
        for piece in pieces:
            total += piece
        mean: Vector = (total / holder.count).numpy()
        if self._unit == "holder":
            mean = clipped_sum(torch.from_numpy(mean)[None], self._clip).numpy()
        return mean

    def _plain(self, module: nn.Module, holder: _Holder) -> Iterator[Tensor]:
        """Sums (d,) of gradients, a piece each: one backward pass for all its examples."""
        parameters = list(module.parameters())
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if self._examples is by_layers and not self._dense:
                yield by_layers(module, self._loss, *batch).sum(0)  # sooner than autograd's own
                continue
            total = self._loss(module(batch[0]), batch[1]).sum()
            found = torch.autograd.grad(total, parameters)
            yield torch.cat([gradient.flatten() for gradient in found])

    def _clipped(self, module: nn.Module, holder: _Holder) -> Iterator[Tensor]:
        """Sums (d,) of clipped gradients of records, a piece each."""
        open_record: Tensor | None = None
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if self._dense and holder.record is None:
                yield dense_clipped_sum(module, self._loss, *batch, self._clip)
                continue
            rows = self._examples(module, self._loss, *batch)
            if holder.record is not None:
                rows, open_record = _join(rows, holder.record, piece, open_record)
            yield clipped_sum(rows, self._clip)


def _join(
    rows: Tensor, record: Tensor, piece: slice, open_record: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Sum the examples of each record; keep back the last one if the next piece goes on with it."""
    numbers = record[piece] - record[piece.start]
    sums = rows.new_zeros(int(numbers[-1]) + 1, rows.shape[1]).index_add_(0, numbers, rows)
    if open_record is not None:
        sums[0] += open_record
    if piece.stop < len(record) and record[piece.stop] == record[piece.stop - 1]:
        return sums[:-1], sums[-1]
    return sums, None


def _tensors(records: Records, dtype: torch.dtype) -> _Holder:
    """Turn a holder's records into tensors, the examples of each record side by side."""
    inputs, targets, numbers = records.inputs, records.targets, None
    if records.record is not None:
        _, numbered = np.unique(records.record, return_inverse=True)
        order = np.argsort(numbered, kind="stable")
        inputs, targets = inputs[order], targets[order]
        numbers = torch.from_numpy(numbered[order])
    known = _tensor(targets)
    known = known.to(dtype) if known.is_floating_point() else known
    return _Holder(_tensor(inputs).to(dtype), known, numbers, records.count)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["W", "C"]))


def _refuse_mixing(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise ValueError(
                f"model: layer {name} is a {type(layer).__name__}, which mixes examples, so that "
                "clipping does not bound one record; use a norm within one example, as GroupNorm"
            )
