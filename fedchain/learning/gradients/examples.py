"""Examples: the records of one holder as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedchain.arrays import Array, Flags
from fedchain.learning.task import Records

TRIED = 3
"""Largest number of held-out examples on which a model is tried before it computes gradients."""


@dataclass(frozen=True)
class Examples:
    """The records of one holder as tensors; the examples of a record follow each other."""

    inputs: Tensor
    """Inputs of the model, shape (examples, ...)."""
    targets: Tensor
    """Targets of the loss, shape (examples, ...)."""
    record: Tensor | None
    """Index of each example's record, in rising order, or None if each example is a record."""
    count: int
    """Number of records."""

    @classmethod
    def of(cls, records: Records, device: str, dtype: torch.dtype) -> Examples:
        """Return a holder's records as tensors on a device, with real numbers of type ``dtype``."""
        inputs, targets, numbers = records.inputs, records.targets, None
        if records.record is not None:
            order = np.argsort(records.record, kind="stable")
            inputs, targets = inputs[order], targets[order]
            numbers = torch.from_numpy(records.places[order])
        known = _tensor(targets).to(device)
        known = known.to(dtype) if known.is_floating_point() else known
        return cls(_tensor(inputs).to(device, dtype), known, numbers, records.count)

    def drawn(self, mask: Flags) -> Examples:
        """Return only the records whose flag in the mask is true; the mask has shape (records,)."""
        kept = torch.from_numpy(mask)
        record = None if self.record is None else self.record[kept[self.record]]
        of_it = kept if self.record is None else kept[self.record]
        of_it = of_it.to(self.inputs.device)
        return Examples(self.inputs[of_it], self.targets[of_it], record, int(mask.sum()))

    def pieces(self, size: int) -> Iterator[slice]:
        """Yield slices of at most ``size`` examples, which go through the model together."""
        for start in range(0, len(self.inputs), size):
            yield slice(start, start + size)


def joined_records(
    rows: Tensor, record: Tensor, piece: slice, open_record: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Sum the gradients of a piece's examples, record by record.

    Args:
        rows: gradients of the examples in the piece, one row each.
        record: index of the record of every example of the holder, in rising order.
        piece: slice of the examples in the piece.
        open_record: the second result of this function for the piece before.

    Returns:
        One row for each complete record. The second result is the sum so far of a record that the
        next piece continues, or None.
    """
    numbers = (record[piece] - record[piece.start]).to(rows.device)
    sums = rows.new_zeros(int(numbers[-1]) + 1, rows.shape[1]).index_add_(0, numbers, rows)
    if open_record is not None:
        sums[0] += open_record
    if piece.stop < len(record) and record[piece.stop] == record[piece.stop - 1]:
        return sums[:-1], sums[-1]
    return sums, None


def few_of(records: Records) -> Records:
    """Return a few examples to try a model on, of different classes if the targets are classes."""
    places = np.arange(records.examples)
    if records.targets.ndim == 1:
        places = np.sort(np.unique(records.targets, return_index=True)[1])
    return Records(records.inputs[places[:TRIED]], records.targets[places[:TRIED]])


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["W", "C"]))
