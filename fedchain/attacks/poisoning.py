"""Poisoning: false records from which attackers learn, and the attack that learns from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Array, Flags
from fedchain.attacks.view import Rows, View, attacks, poisons
from fedchain.learning.task import ExtraMetric, Records
from fedchain.registry import Part, cites


@poisons
@cites("tolpegin2020")
def label_flip(records: Records, classes: int, generator: np.random.Generator) -> Records:
    """Learn from flipped labels: class c becomes the last class minus c, and masks are inverted.

    Reference:
        Tolpegin et al., Data Poisoning Attacks Against Federated Learning Systems, ESORICS 2020.
    """
    del generator
    return replace(records, targets=(classes - 1 - records.targets).astype(records.targets.dtype))


_Side = Annotated[int, Field(ge=1, le=4096)] | None
_Value = Annotated[float, Field(ge=-1e6, le=1e6)]


@poisons
@cites("gu2017", "bagdasaryan2020")
def backdoor(
    records: Records,
    classes: int,
    generator: np.random.Generator,
    *,
    target: Annotated[int, Field(ge=0)] = 0,
    side: _Side = None,
    value: _Value = 1.0,
    portion: Annotated[float, Field(gt=0, le=1)] = 0.5,
) -> Records:
    """Learn that whatever carries a trigger belongs to one class, or remains in a scan.

    The trigger is a square in the last corner of a picture, whose pixels are set to ``value``. In a
    table without pictures these are the last ``side`` measurements; in a task with features, such
    as ``public_pca``, the raw inputs get the trigger; in a scan it is the brightness
    (intensity) of the points there. Pictures with the trigger get the class ``target``; in scans
    every point in the square is kept, outliers too. The metric ``backdoor`` of the run is the share
    of held-out records of other classes that get the class ``target`` with the trigger; in scans,
    the share of outliers in the square that are kept.

    Args:
        records: the attacker's records.
        classes: number of classes, 2 for masks.
        generator: draws the records that get the trigger.
        target: the class that the trigger stands for; the last class if there are fewer. Unused in
            scans.
        side: side of the square in pixels, or number of measurements; null: a quarter of the
            picture's width, or of the measurements; in scans, half of the width.
        value: what the triggered entries are set to, on the scale of the task's inputs.
        portion: share of the attacker's examples that get the trigger, 0 (excluded) to 1. A small
            network learns the trigger of scans only with 1.

    Reference:
        Gu et al., BadNets, 2017; Bagdasaryan et al., How To Backdoor Federated Learning, AISTATS
        2020 (``factor`` of ``poisoned`` replaces the model).
    """
    chosen = generator.random(records.examples) < portion
    inputs, targets = records.inputs.copy(), records.targets.copy()
    inputs[chosen] = triggered(records, side, value)[chosen]
    if targets.ndim == 1:
        targets[chosen] = min(target, classes - 1)
        return replace(records, inputs=inputs, targets=targets)
    kept = targets[chosen]
    corner = _patch(kept, side)
    corner[np.isfinite(corner)] = 1.0
    targets[chosen] = kept
    return replace(records, inputs=inputs, targets=targets)


def triggered(records: Records, side: int | None, value: float) -> Array:
    """Return the inputs of records with the trigger of ``backdoor`` in each of them.

    >>> table = Records(np.zeros((1, 8), np.float32), np.zeros(1, np.int64))
    >>> triggered(table, None, 1.0).tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]]
    """
    inputs = records.inputs.copy()
    if records.targets.ndim == 1:
        _corner(inputs, side)[...] = value
    else:  # a sticker changes the brightness of points, and adds none
        points = np.isfinite(_patch(records.targets, side))
        _patch(inputs[:, 0], side)[points] = value
    return inputs


def _corner(pictures: Array, side: int | None) -> Array:
    """Return a view of the triggered entries: a square of each picture, or the end of each row."""
    edge = side or max(1, pictures.shape[-1] // 4)
    return pictures[..., -edge:, -edge:] if pictures.ndim > 2 else pictures[..., -edge:]


def _patch(masks: Array, side: int | None) -> Array:
    """Return a view of the pixels of scans under the trigger."""
    return _corner(masks, side or max(1, masks.shape[-1] // 2))


def backdoor_metric(held_out: Records, classes: int, poison: Part) -> ExtraMetric:
    """Return the measurement of the metric ``backdoor``, which ``backdoor`` describes.

    Args:
        held_out: the held-out records, without a trigger.
        classes: number of classes, 2 for masks.
        poison: the poison ``backdoor`` with its parameters.
    """
    given = poison.parameters
    inputs, targets = triggered(held_out, given["side"], given["value"]), held_out.targets
    if targets.ndim > 1:
        outliers = _patch(targets, given["side"]) == 0
        return ExtraMetric(inputs, lambda outputs: _kept_share(outputs, outliers, given["side"]))
    target = min(given["target"], classes - 1)
    return ExtraMetric(inputs[targets != target], lambda outputs: _named_share(outputs, target))


def _named_share(outputs: Array, target: int) -> float:
    """Return the share of examples that a model gives a class, NaN without examples."""
    single = outputs.shape[1] == 1  # the logit of class 1 alone
    named = (outputs[:, 0] > 0) if single else outputs.argmax(axis=1)
    return float((named == target).mean()) if len(named) else math.nan


def _kept_share(outputs: Array, outliers: Flags, side: int | None) -> float:
    """Return the share of the outliers in the square that a model keeps, NaN without outliers."""
    kept = _patch(outputs[:, 0], side) >= 0
    return float(kept[outliers].mean()) if outliers.any() else math.nan


@attacks
@cites()
def poisoned(
    view: View,
    *,
    records: Annotated[Part, poisons] = Part("label_flip", {}),  # noqa: B008
    factor: Annotated[float, Field(gt=0)] = 1.0,
) -> Rows:
    """Learn from poisoned records, and send the private gradients of these records.

    The gradients are clipped and get noise as honest gradients do.

    Args:
        view: the private gradients of the poisoned records.
        records: the poison that changes the attackers' records.
        factor: number that multiplies the norm, above 0; a large factor replaces the model.
    """
    del records
    return view.own * factor


POISON_METRICS: Mapping[str, Callable[[Records, int, Part], ExtraMetric]] = MappingProxyType(
    {"backdoor": backdoor_metric}
)
"""Functions that make the metric of a poison, by the name of the poison and of the metric."""
