"""Cohort gradients: the private gradients of many holders at the same weights, equation (6).

The layers of the model decide how per-example gradients are computed: by products of segments for
dense networks, by products of inputs and errors for convolutions, and by vmap for the rest.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedchain.arrays import Flags, Singles, Vector
from fedchain.learning.gradients.clipping import Clipping, clip_factors, clipped_sum, clipping_of
from fedchain.learning.gradients.dense import Segments, has_segments, segment_sums
from fedchain.learning.gradients.layers import memory_format
from fedchain.learning.gradients.per_example import by_layers, fitting_way
from fedchain.learning.task import Array, Loss, Sampled, Task
from fedchain.learning.weights import dimension, layout, load_weights, places

PIECE, PIECE_NUMBERS = 100, 4_000_000
"""Most examples that go through the model together, and most numbers in their gradients: large
enough to hide the cost of a call, small enough for the memory of a small machine."""
REMEMBERED = 1024
"""Holders whose records are kept as tensors; most tensors share the memory of the task's arrays."""
SEGMENTED = 4096
"""Most examples of several holders that go through a dense model together."""
KEPT_GROUPS = 2**24
"""Most numbers in the joined examples of such holders that are kept: joining them again in every
round would take a tenth of the time of their gradients."""

Method = Literal["segments", "layers", "vmap"]
"""How gradients are computed: one product per holder and layer (``segments``), one product per
example and layer (``layers``), or by vmap."""


@dataclass(frozen=True)
class _Examples:
    """The records of one holder as tensors."""

    inputs: Tensor
    targets: Tensor
    record: Tensor | None
    """Number of each example's record, in rising order; None: each example is a record."""
    count: int

    def of(self, mask: Flags) -> _Examples:
        """Return the records for which a mask (count,) is true."""
        kept = torch.from_numpy(mask)
        record = None if self.record is None else self.record[kept[self.record]]
        of_it = kept if self.record is None else kept[self.record]
        of_it = of_it.to(self.inputs.device)
        return _Examples(self.inputs[of_it], self.targets[of_it], record, int(mask.sum()))

    def pieces(self, size: int) -> Iterator[slice]:
        """Yield slices of examples that go through the model together, ``size`` at a time."""
        for start in range(0, len(self.inputs), size):
            yield slice(start, start + size)


class CohortGradients:
    """Computes the mean clipped gradient of each of many holders at the same weights.

    g_k = (1/n_k) sum_i clip_C(grad loss(w; record i of holder k)). The gradient of a record with
    several examples is the sum of their gradients, and is clipped as a whole. Views of one example
    contribute the mean of their gradients. With unit "holder" the holder's mean gradient is
    clipped as a whole instead. With an infinite clip nothing is clipped.

    The object has its own model. Threads that share a model would race, so each gets a ``twin``.

    Reference:
        LearningChain equation (6), reconstructed.
    """

    def __init__(
        self,
        task: Task,
        clip: float | None,
        unit: Literal["record", "holder"] = "record",
        dtype: torch.dtype = torch.float32,
        *,
        automatic: bool = False,
    ) -> None:
        """Make the model, and choose the method.

        Args:
            task: data of the holders, model and loss.
            clip: bound on the 2-norm of a unit's gradient; None or inf: no bound.
            unit: what the clip bounds: the gradient of each record, or the mean of each holder.
            dtype: type of the computation; float64 is for tests.
            automatic: scale all gradients to nearly the clip, instead of shortening only those
                above it.

        Raises:
            ValueError: the model has a layer that mixes examples.
        """
        self._module = task.model().to(dtype).eval()
        _refuse_mixing(self._module)
        for layer in self._module.modules():
            if hasattr(layer, "inplace"):
                setattr(layer, "inplace", False)  # noqa: B010 - a layer's input must stay as it was
        shapes = layout(self._module)
        self.dimension = dimension(shapes)
        """Number of values in a gradient."""
        self._places = places(shapes)
        clipping = clipping_of(clip, automatic=automatic)
        self._of_records = clipping if unit == "record" else None
        self._of_holders = clipping if unit == "holder" else None
        self.task = task
        """The task with the holders' records."""
        self._loss, self._dtype, self._device = _mean_of_views(task), dtype, "cpu"
        self._room: Tensor | None = None
        self._make_caches()
        first = self._examples_of(0)
        few = first.inputs[:2], first.targets[:2]
        self._way = fitting_way(self._module, self._loss, *few)
        many = first.record is not None and self._of_records is not None
        if not many and self._way is by_layers and has_segments(self._module, self._loss, *few):
            self.method: Method = "segments"
        else:
            self.method = "layers" if self._way is by_layers else "vmap"
        self._format = memory_format(self._module, single=self._of_records is not None)
        lay: Callable[..., nn.Module] = self._module.to
        lay(memory_format=self._format)

    def twin(self) -> CohortGradients:
        """Return a copy for another thread: the same data, its own model."""
        other = copy.copy(self)
        other._module, other._room = copy.deepcopy(self._module), None
        return other

    def on(self, device: str) -> CohortGradients:
        """Return one that computes on a torch device: ``cpu``, ``cuda``, ``cuda:1``."""
        if device == self._device:
            return self
        other = self.twin()
        other._device, other._module = device, other._module.to(device)
        other._make_caches()
        return other

    def _make_caches(self) -> None:
        """Make the caches of the holders' tensors on this device; twins share them."""
        self._examples_of = functools.lru_cache(REMEMBERED)(self._make_examples)
        numbers = SEGMENTED * self._examples_of(0).inputs[0].numel()
        kept = max(1, KEPT_GROUPS // numbers)
        self._joined_examples = functools.lru_cache(kept)(self._join_examples)

    def __call__(
        self, weights: Vector, holders: Sequence[int], sampled: Sampled | None = None
    ) -> Singles:
        """Return the gradients of these holders at the weights.

        Args:
            weights: (d,) float64; they are rounded to the type of the computation.
            holders: numbers of the holders, in any order.
            sampled: which records of each holder take part; None: all of them.

        Returns:
            Shape (len(holders), d), one row per holder, in the order of ``holders``; the next
            call overwrites the rows.
        """
        load_weights(self._module, weights)
        rows = self._rows(len(holders))
        if sampled is not None:
            for row, holder, mask in zip(rows, holders, sampled.masks, strict=True):
                examples = self._examples_of(holder)
                row[:] = self._sum(examples.of(mask)) / (sampled.rate * examples.count)
        else:
            start = 0
            for group in self._groups(holders):
                self._fill(rows[start : start + len(group)], group)
                start += len(group)
        if self._of_holders is not None:
            _clip_rows(rows, self._of_holders)
        return np.asarray(rows.cpu().numpy())

    def bounded(
        self, weights: Vector, holder: int, clip: float, mask: Flags
    ) -> tuple[Singles, int]:
        """Return the sum of one holder's gradients with its own clip, and how many are within it.

        Args:
            weights: (d,) float64.
            holder: number of the holder.
            clip: bound on the 2-norm of a record's gradient.
            mask: which of the holder's records take part, (n_k,).

        Returns:
            The sum of the clipped gradients, shape (1, d), and the number of records whose norm
            is at most the clip.
        """
        load_weights(self._module, weights)
        total, within = torch.zeros(self.dimension, dtype=torch.float64, device=self._device), 0
        clipping = functools.partial(clip_factors, clip=clip)
        for rows in self._record_rows(self._examples_of(holder).of(mask)):
            within += int((torch.linalg.vector_norm(rows, dim=1) <= clip).sum())
            total += clipped_sum(rows, clipping)
        return total.to(self._dtype)[None].cpu().numpy(), within

    def _rows(self, count: int) -> Tensor:
        """Return memory for the gradients; fresh memory would cost a tenth of a dense round."""
        if self._room is None or len(self._room) < count:
            shape = count, self.dimension
            self._room = torch.empty(shape, dtype=self._dtype, device=self._device)
        return self._room[:count]

    def _groups(self, holders: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield groups of holders that go through the model together, in order."""
        group: list[int] = []
        examples = 0
        for holder in holders:
            more = len(self._examples_of(holder).inputs)
            if group and (self.method != "segments" or examples + more > SEGMENTED):
                yield tuple(group)
                group, examples = [], 0
            group.append(holder)
            examples += more
        if group:
            yield tuple(group)

    def _fill(self, rows: Tensor, group: tuple[int, ...]) -> None:
        """Write the mean gradients of a group of holders, with their records clipped."""
        alone = self._examples_of(group[0])
        if self.method == "segments" and len(alone.inputs) <= SEGMENTED:
            inputs, targets, segments = self._joined_examples(group)
            segment_sums(self._module, self._loss, inputs, targets, segments, rows)
        else:
            rows[0] = self._sum(alone) / alone.count

    def _join_examples(self, group: tuple[int, ...]) -> tuple[Tensor, Tensor, Segments]:
        """Return the joined inputs and targets of several holders, and the segment of each."""
        every = [self._examples_of(holder) for holder in group]
        sizes, shares = [len(each.inputs) for each in every], [1.0 / each.count for each in every]
        inputs = torch.cat([each.inputs for each in every])
        targets = torch.cat([each.targets for each in every])
        return inputs, targets, Segments(sizes, shares, self._of_records, self._places)

    def _sum(self, holder: _Examples) -> Tensor:
        """Return the sum (d,) of one holder's clipped gradients, piece by piece."""
        total = torch.zeros(self.dimension, dtype=torch.float64, device=self._device)
        if self.method == "segments":
            pieces = self._segmented(holder)
        elif self._of_records is not None:
            pieces = self._clipped(holder, self._of_records)
        else:
            pieces = self._plain(holder)
        for piece in pieces:
            total += piece
        return total

    def _plain(self, holder: _Examples) -> Iterator[Tensor]:
        """Yield sums (d,) of unclipped gradients, one per piece, with one backward pass each."""
        parameters = list(self._module.parameters())
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if self.method == "layers" and self._format is torch.contiguous_format:
                # with few channels this is faster than autograd
                yield by_layers(self._module, self._loss, *batch).sum(0)
                continue
            total = self._loss(self._module(batch[0]), batch[1]).sum()
            found = torch.autograd.grad(total, parameters)
            yield torch.cat([gradient.flatten() for gradient in found])

    def _clipped(self, holder: _Examples, clipping: Clipping) -> Iterator[Tensor]:
        """Yield sums (d,) of clipped gradients of records, one per piece."""
        for rows in self._record_rows(holder):
            yield clipped_sum(rows, clipping)

    def _record_rows(self, holder: _Examples) -> Iterator[Tensor]:
        """Yield gradients (n, d) of single records, piece by piece."""
        open_record: Tensor | None = None
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            rows = self._way(self._module, self._loss, *batch)
            if holder.record is not None:
                rows, open_record = _join(rows, holder.record, piece, open_record)
            yield rows

    def _segmented(self, holder: _Examples) -> Iterator[Tensor]:
        row = torch.empty((1, self.dimension), dtype=self._dtype, device=self._device)
        for piece in holder.pieces(SEGMENTED):
            inputs, targets = holder.inputs[piece], holder.targets[piece]
            whole = Segments([len(inputs)], [1.0], self._of_records, self._places)
            segment_sums(self._module, self._loss, inputs, targets, whole, row)
            yield row[0]

    @property
    def _piece(self) -> int:
        return max(1, min(PIECE, PIECE_NUMBERS // self.dimension))

    def _make_examples(self, holder: int) -> _Examples:
        """Return a holder's records as tensors, with the examples of each record in sequence."""
        records = self.task.holders[holder]
        inputs, targets, numbers = records.inputs, records.targets, None
        if records.record is not None:
            _, numbered = np.unique(records.record, return_inverse=True)
            order = np.argsort(numbered, kind="stable")
            inputs, targets = inputs[order], targets[order]
            numbers = torch.from_numpy(numbered[order])
        known = _tensor(targets).to(self._device)
        known = known.to(self._dtype) if known.is_floating_point() else known
        given = _tensor(inputs).to(self._device, self._dtype)
        return _Examples(given, known, numbers, records.count)


def _mean_of_views(task: Task) -> Loss:
    """Return the loss over the number of views, so that the sum over views becomes their mean."""
    if task.views == 1:
        return task.loss
    return lambda outputs, targets: task.loss(outputs, targets) / task.views


def _clip_rows(rows: Tensor, clipping: Clipping) -> None:
    factors = clipping(torch.linalg.vector_norm(rows, dim=1))
    rows *= factors[:, None]
    if not bool(factors.all()):
        rows[factors == 0] = 0.0  # inf * 0 and NaN * 0 are NaN


def _join(
    rows: Tensor, record: Tensor, piece: slice, open_record: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Sum the examples of each record; keep back the last record if the next piece continues it."""
    numbers = (record[piece] - record[piece.start]).to(rows.device)
    sums = rows.new_zeros(int(numbers[-1]) + 1, rows.shape[1]).index_add_(0, numbers, rows)
    if open_record is not None:
        sums[0] += open_record
    if piece.stop < len(record) and record[piece.stop] == record[piece.stop - 1]:
        return sums[:-1], sums[-1]
    return sums, None


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["W", "C"]))


def _refuse_mixing(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise ValueError(
                f"model: layer {name} is a {type(layer).__name__}, which mixes examples, so that "
                "clipping does not bound one record; use a norm within one example, as GroupNorm"
            )
