"""Cohort gradients: the mean clipped gradients of many holders at the same weights."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from fedchain.arrays import Flags, Matrix, Vector
from fedchain.learning.evaluation import dimension, load_weights, places
from fedchain.learning.fitting import check_fit
from fedchain.learning.gradients.clipping import clip_factors, clip_rows, clipped_sum, clipping_of
from fedchain.learning.gradients.exact import ExactGradients, exact_for
from fedchain.learning.gradients.examples import Examples, few_of, joined_records
from fedchain.learning.gradients.layers import memory_format
from fedchain.learning.gradients.methods import (
    WAYS,
    Segments,
    groups_of,
    method_for,
    segment_sums,
    separate_sums,
)
from fedchain.learning.gradients.plan import plane_plan
from fedchain.learning.gradients.planes import Planes, planes_for
from fedchain.learning.gradients.probe import refuse_layers, summed_gradient
from fedchain.learning.losses import divided_loss
from fedchain.learning.task import Sampled, Task
from fedchain.transforms import lengths

PIECE, PIECE_NUMBERS = 100, 4_000_000
"""Largest number of examples in one call of the model, and of values in the gradients of these
examples."""
KEPT_HOLDERS = 1024
"""Largest number of holders whose tensors are cached."""
SEGMENTED = 4096
"""Largest number of examples in one call of a model that has only dense layers. The examples may
belong to several holders."""
KEPT_GROUPS = 2**24
"""Largest number of values in the cache of tensors that join the examples of several holders."""


class CohortGradients:
    """Computes the mean clipped gradient of each of many holders at the same weights.

    The mean is taken over the records of the holder. The gradient of a record is the sum of the
    gradients of its examples, and is clipped as a whole. Views of one example contribute the mean
    of their gradients.

    An object must not be used by two threads, so each thread needs an object from ``twin``.

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
        exact: bool = False,
    ) -> None:
        """Make the model, and choose the method of computation.

        Args:
            task: data of the holders, model and loss.
            clip: bound on the 2-norm of a gradient; None or inf for no bound.
            unit: whether the clip bounds the gradient of each record, or the mean of each holder.
            dtype: type of the computation; float64 is for tests.
            automatic: scale all gradients to nearly the clip, not only those above it.
            exact: compute the same bits on every processor.

        Raises:
            ScenarioError: ``exact`` is asked for, and the model or the task allows no such method.
            PartError: the model or the loss fails, does not fit the records, or mixes examples. The
                text begins with the scenario's key, such as ``task.model``.
        """
        self._module = task.model().to(dtype).eval()
        refuse_layers(self._module)
        for layer in filter(lambda layer: hasattr(layer, "inplace"), self._module.modules()):
            setattr(layer, "inplace", False)  # noqa: B010 - a layer's input must stay as it was
        self.dimension = dimension(self._module)
        """Number of values in a gradient."""
        self._piece = max(1, min(PIECE, PIECE_NUMBERS // self.dimension))
        self._places = places(self._module)
        clipping = clipping_of(clip, automatic=automatic)
        self._of_records = clipping if unit == "record" else None
        self._of_holders = clipping if unit == "holder" else None
        self._clip, self._weights = (clip, automatic), np.empty(0)
        self.task = task
        """The task with the holders' records."""
        self._loss, self._dtype, self._device = task.loss, dtype, "cpu"
        if task.views > 1:  # the sum over views becomes their mean
            self._loss = divided_loss(task.loss, task.views)
        self._room: Tensor | None = None
        self._make_caches()
        self.examples = len(self._examples_of(0).inputs)
        """Number of examples of the first holder."""
        few = Examples.of(few_of(task.held_out), "cpu", dtype)
        check_fit(self._module, self._loss, few.inputs.clone(), few.targets.clone())
        single = self._examples_of(0).record is None or self._of_records is None
        probed = self._module, self._loss, few.inputs, few.targets
        self.method = method_for(*probed, single=single, most=self._piece)
        """Name of the method that computes the gradients."""
        self._way = WAYS[self.method]
        shape = tuple(few.inputs.shape[1:])
        self.plan = plane_plan(self._module, self._loss, shape) if self.method == "layers" else None
        """The plan by which compiled kernels, if there are any, compute the gradients; or None."""
        self._sums_by: Planes | ExactGradients | None = None
        if exact:
            self.method, self.plan, self._sums_by = "exact", None, exact_for(*probed, task)
        elif self.plan is not None and (by_planes := planes_for(self.plan, *probed)):
            self.method, self._sums_by = "planes", by_planes
        self._format = memory_format(self._module, single=self._of_records is not None)
        cast(Callable[..., nn.Module], self._module.to)(memory_format=self._format)

    def twin(self) -> CohortGradients:
        """Return a copy for another thread, with the same data and its own model."""
        other = copy.copy(self)
        other._module, other._room = copy.deepcopy(self._module), None
        other._sums_by = self._sums_by and self._sums_by.twin()
        return other

    def on(self, device: str) -> CohortGradients:
        """Return an object for the same task that computes on a device, such as ``cuda:1``."""
        if device == self._device:
            return self
        other = self.twin()
        other._device, other._module = device, other._module.to(device)
        if self._sums_by is not None:  # the kernels are for processors
            other._sums_by, other.method = None, "layers"
        other._make_caches()
        return other

    def _make_caches(self) -> None:
        """Make the caches of the holders' tensors on this device."""
        holders, at = self.task.holders, (self._device, self._dtype)
        self._examples_of = functools.lru_cache(KEPT_HOLDERS)(
            lambda holder: Examples.of(holders[holder], *at)
        )
        numbers = SEGMENTED * self._examples_of(0).inputs[0].numel()
        kept = max(1, KEPT_GROUPS // numbers)
        self._joined_examples = functools.lru_cache(kept)(self._join_examples)

    def __call__(
        self, weights: Vector, holders: Sequence[int], sampled: Sampled | None = None
    ) -> Matrix:
        """Return the mean clipped gradients; arguments and result are those of ``means``."""
        return self.clipped(self.means(weights, holders, sampled))

    def clipped(self, rows: Matrix) -> Matrix:
        """Clip the gradient of each holder in place if the unit is the holder; return the rows."""
        if self._of_holders is not None:
            norms = torch.from_numpy(lengths(rows)) if self.method == "exact" else None
            clip_rows(torch.from_numpy(rows), self._of_holders, norms)
        return rows

    def means(
        self, weights: Vector, holders: Sequence[int], sampled: Sampled | None = None
    ) -> Matrix:
        """Return the mean gradients of some holders before a clip of holders, one row for each.

        Args:
            weights: weights of the model, as one flat vector. They are rounded to the type of the
                computation.
            holders: indices of the holders in the task.
            sampled: the records that take part, or None for all.

        Returns:
            Float64 gradients, shape (holders, weights), in the order of ``holders``. The next call
            overwrites them.
        """
        # Sums and means are float64: in float32 the rounding of a mean of 10^6 records moves it by
        # some percent of what one record may, and noise would not cover that.
        load_weights(self._module, weights)
        self._weights = weights
        # Allocating the rows takes a tenth of the time of a dense model's gradients.
        if self._room is None or len(self._room) < len(holders):
            shape = len(holders), self.dimension
            self._room = torch.empty(shape, dtype=torch.float64, device=self._device)
        rows = self._room[: len(holders)]
        if sampled is not None:
            own = [self._examples_of(holder) for holder in holders]
            drawn = [each.drawn(mask) for each, mask in zip(own, sampled.masks, strict=True)]
            for row, total, size in zip(rows, self._drawn_sums(drawn), sampled.sizes, strict=True):
                row[:] = total / size
        elif self.method == "segments":
            self._fill_segments(rows, holders)
        else:
            own = [self._examples_of(holder) for holder in holders]
            for row, total, examples in zip(rows, self._sums(own), own, strict=True):
                row[:] = total / examples.count
        return np.asarray(rows.cpu().numpy())

    def bounded(self, weights: Vector, holder: int, clip: float, mask: Flags) -> tuple[Matrix, int]:
        """Return the sum of a holder's clipped record gradients, and how many needed no clipping.

        Only records whose flag in ``mask`` is true take part. The sum has shape (1, weights).
        """
        load_weights(self._module, weights)
        self._weights = weights
        total, within = torch.zeros(self.dimension, dtype=torch.float64, device=self._device), 0
        clipping = functools.partial(clip_factors, clip=clip)
        for rows in self._record_rows(self._examples_of(holder).drawn(mask)):
            within += int((torch.linalg.vector_norm(rows, dim=1) <= clip).sum())
            total += clipped_sum(rows, clipping)
        return total[None].cpu().numpy(), within

    def _fill_segments(self, rows: Tensor, holders: Sequence[int]) -> None:
        """Write the mean gradient of each holder to ``rows``."""
        for part in groups_of([len(self._examples_of(h).inputs) for h in holders], SEGMENTED):
            alone = self._examples_of(holders[part.start])
            if len(alone.inputs) > SEGMENTED:
                rows[part] = next(self._sums([alone])) / alone.count
            else:
                inputs, targets, segments = self._joined_examples(tuple(holders[part]))
                segment_sums(self._module, self._loss, inputs, targets, segments, rows[part])

    def _drawn_sums(self, drawn: Sequence[Examples]) -> Iterator[Tensor]:
        """Yield the sum of each holder's clipped gradients; no sum depends on other holders."""
        if self.method != "segments":
            yield from (next(self._sums([each])) for each in drawn)
            return
        for part in groups_of([len(each.inputs) for each in drawn], SEGMENTED):
            some, how = drawn[part], (self._of_records, self._places)
            if len(some[0].inputs) > SEGMENTED:
                yield self._sum(some[0])
                continue
            batches = [(each.inputs, each.targets) for each in some]
            sums = some[0].inputs.new_zeros((len(some), self.dimension), dtype=torch.float64)
            separate_sums(self._module, self._loss, batches, *how, sums)
            yield from sums

    def _join_examples(self, group: tuple[int, ...]) -> tuple[Tensor, Tensor, Segments]:
        """Return the joined inputs and targets of several holders, and who owns which example."""
        every = [self._examples_of(holder) for holder in group]
        sizes, shares = [len(each.inputs) for each in every], [1.0 / each.count for each in every]
        inputs = torch.cat([each.inputs for each in every])
        targets = torch.cat([each.targets for each in every])
        return inputs, targets, Segments(sizes, shares, self._of_records, self._places)

    def _sums(self, holders: Sequence[Examples]) -> Iterator[Tensor]:
        """Yield the sum of each holder's clipped gradients, shape (weights,)."""
        if self._sums_by is None or (self._of_records and holders[0].record is not None):
            yield from map(self._sum, holders)
            return
        clip, automatic = self._clip
        bound = None if self._of_records is None else clip
        yield from self._sums_by.sums(self._weights, holders, bound, automatic=automatic)

    def _sum(self, holder: Examples) -> Tensor:
        """Return the sum of one holder's clipped gradients by torch, shape (weights,)."""
        total = torch.zeros(self.dimension, dtype=torch.float64, device=self._device)
        if self.method == "segments":
            sums = self._segmented(holder)
        elif (clipping := self._of_records) is not None:
            sums = (clipped_sum(rows, clipping) for rows in self._record_rows(holder))
        else:
            sums = self._plain(holder)
        for each in sums:
            total += each
        return total

    def _plain(self, holder: Examples) -> Iterator[Tensor]:
        """Yield the sum of the unclipped gradients of each piece, shape (weights,)."""
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if self.method == "layers" and self._format is torch.contiguous_format:  # few channels
                yield self._way(self._module, self._loss, *batch).sum(0)
                continue
            yield summed_gradient(self._module, self._loss, *batch)

    def _record_rows(self, holder: Examples) -> Iterator[Tensor]:
        """Yield the gradients of the records of each piece, shape (records, weights)."""
        open_record: Tensor | None = None
        for piece in holder.pieces(self._piece):
            batch = holder.inputs[piece], holder.targets[piece]
            if isinstance(self._sums_by, Planes):
                rows = self._sums_by.each(self._weights, *batch)
            else:
                rows = self._way(self._module, self._loss, *batch)
            if holder.record is not None:
                rows, open_record = joined_records(rows, holder.record, piece, open_record)
            yield rows

    def _segmented(self, holder: Examples) -> Iterator[Tensor]:
        row = torch.empty((1, self.dimension), dtype=torch.float64, device=self._device)
        for piece in holder.pieces(SEGMENTED):
            inputs, targets = holder.inputs[piece], holder.targets[piece]
            whole = Segments([len(inputs)], [1.0], self._of_records, self._places)
            segment_sums(self._module, self._loss, inputs, targets, whole, row)
            yield row[0]
