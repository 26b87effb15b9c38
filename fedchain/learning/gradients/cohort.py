"""The private gradients of many data holders at the same weights, equation (6).

How single examples' gradients are found is chosen by the layers of the model: products of
segments for dense networks, products of inputs and errors for convolutions, vmap for the rest.
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
"""Examples that go through the model together, and a bound on the numbers that their gradients
are: large enough to hide the cost of a call, small enough for the memory of a small machine."""
REMEMBERED = 1024
"""Holders whose records are kept as tensors; mostly these share the memory of the task's."""
SEGMENTED = 4096
"""Examples of several holders that go through a dense model together."""
KEPT_GROUPS = 2**24
"""Numbers in the examples of such holders that are kept side by side: to lay them so again for
every round would take a tenth of their gradients' time."""

Method = Literal["segments", "layers", "vmap"]
"""How gradients are found: one product a holder and layer, one an example and layer, or vmap."""


@dataclass(frozen=True)
class _Examples:
    """The records of one holder as tensors."""

    inputs: Tensor
    targets: Tensor
    record: Tensor | None
    """Number of each example's record, rising; None: each example is one."""
    count: int

    def of(self, mask: Flags) -> _Examples:
        """Return those of the records that a mask (count,) keeps."""
        kept = torch.from_numpy(mask)
        record = None if self.record is None else self.record[kept[self.record]]
        of_it = kept if self.record is None else kept[self.record]
        of_it = of_it.to(self.inputs.device)
        return _Examples(self.inputs[of_it], self.targets[of_it], record, int(mask.sum()))

    def pieces(self, size: int) -> Iterator[slice]:
        """Yield the examples that go through the model together, ``size`` at a time."""
        for start in range(0, len(self.inputs), size):
            yield slice(start, start + size)


class CohortGradients:
    """Computes the mean clipped gradient of each of many holders at the same weights.

    g_k = (1/n_k) sum_i clip_C(grad loss(w; record i of holder k)). A record with several
    examples has the sum of their gradients (of views of one example their mean), clipped as a
    whole. With unit "holder" the holder's
    mean gradient is clipped as a whole instead; with an infinite clip nothing is.

    It has a model of its own: threads that share one would race, so each gets a ``twin``.

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
            clip: bound on the 2-norm of a unit's gradient; None or inf: none.
            unit: what the clip bounds: each record, or the holder's mean.
            dtype: of the computation; float64 is for tests.
            automatic: bring the units' gradients near the clip instead of cutting them at it.

        Raises:
            ValueError: the model has a layer that mixes examples.
        """
        self._module = task.model().to(dtype).eval()
        _refuse_mixing(self._module)
        for layer in self._module.modules():
            if hasattr(layer, "inplace"):
                setattr(layer, "inplace", False)  # noqa: B010 - what a layer was given must survive it
        shapes = layout(self._module)
        self.dimension = dimension(shapes)
        """Numbers in a gradient."""
        self._places = places(shapes)
        clipping = clipping_of(clip, automatic=automatic)
        self._of_records = clipping if unit == "record" else None
        self._of_holders = clipping if unit == "holder" else None
        self.task = task
        """Whose gradients they are."""
        self._loss, self._dtype, self._device = _mean_of_views(task), dtype, "cpu"
        self._room: Tensor | None = None
        self._remember()
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
        """Return another one for another thread: the same data, a model of its own."""
        other = copy.copy(self)
        other._module, other._room = copy.deepcopy(self._module), None
        return other

    def on(self, device: str) -> CohortGradients:
        """Return one that computes on a device of torch: ``cpu``, ``cuda``, ``cuda:1``."""
        if device == self._device:
            return self
        other = self.twin()
        other._device, other._module = device, other._module.to(device)
        other._remember()
        return other

    def _remember(self) -> None:
        """Keep the tensors of the holders, on this device; twins share them."""
        self._examples_of = functools.lru_cache(REMEMBERED)(self._made_examples)
        numbers = SEGMENTED * self._examples_of(0).inputs[0].numel()
        kept = max(1, KEPT_GROUPS // numbers)
        self._side_by_side = functools.lru_cache(kept)(self._laid_side_by_side)

    def __call__(
        self, weights: Vector, holders: Sequence[int], sampled: Sampled | None = None
    ) -> Singles:
        """Return the gradients of these holders at the weights.

        Args:
            weights: (d,) float64; used in the type of the computation.
            holders: numbers of the holders, in any order.
            sampled: which records of each take part; None: all of them.

        Returns:
            Shape (len(holders), d), one row a holder, in the order asked; the next call
            overwrites them.
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
        """Return the sum of one holder's gradients with a clip of its own, and who is below it.

        Args:
            weights: (d,) float64.
            holder: its number.
            clip: bound on the 2-norm of a record's gradient.
            mask: which of its records take part, (n_k,).

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
        """Return room for the gradients; fresh memory would cost a tenth of a dense round."""
        if self._room is None or len(self._room) < count:
            shape = count, self.dimension
            self._room = torch.empty(shape, dtype=self._dtype, device=self._device)
        return self._room[:count]

    def _groups(self, holders: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield the holders that go through the model together, in order."""
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
        """Write the mean gradients of holders that go together, records clipped."""
        alone = self._examples_of(group[0])
        if self.method == "segments" and len(alone.inputs) <= SEGMENTED:
            inputs, targets, segments = self._side_by_side(group)
            segment_sums(self._module, self._loss, inputs, targets, segments, rows)
        else:
            rows[0] = self._sum(alone) / alone.count

    def _laid_side_by_side(self, group: tuple[int, ...]) -> tuple[Tensor, Tensor, Segments]:
        """Return the inputs and targets of several holders, and which belong to whom."""
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
        """Sums (d,) of gradients, a piece each: one backward pass for all its examples."""
        parameters = list(self._module.parameters())
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if self.method == "layers" and self._format is torch.contiguous_format:
                # for few channels sooner than autograd's
                yield by_layers(self._module, self._loss, *batch).sum(0)
                continue
            total = self._loss(self._module(batch[0]), batch[1]).sum()
            found = torch.autograd.grad(total, parameters)
            yield torch.cat([gradient.flatten() for gradient in found])

    def _clipped(self, holder: _Examples, clipping: Clipping) -> Iterator[Tensor]:
        """Sums (d,) of clipped gradients of records, a piece each."""
        for rows in self._record_rows(holder):
            yield clipped_sum(rows, clipping)

    def _record_rows(self, holder: _Examples) -> Iterator[Tensor]:
        """Gradients (n, d) of single records, a piece each."""
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

    def _made_examples(self, holder: int) -> _Examples:
        """Return a holder's records as tensors, the examples of each record side by side."""
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
    """Return the loss of a view: the gradients of all views of an example sum up to their mean."""
    if task.views == 1:
        return task.loss
    return lambda outputs, targets: task.loss(outputs, targets) / task.views


def _clip_rows(rows: Tensor, clipping: Clipping) -> None:
    factors = clipping(torch.linalg.vector_norm(rows, dim=1))
    rows *= factors[:, None]
    if not bool(factors.all()):
        rows[factors == 0] = 0.0  # what is not finite stays so when multiplied


def _join(
    rows: Tensor, record: Tensor, piece: slice, open_record: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Sum the examples of each record; keep back the last one if the next piece goes on with it."""
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
