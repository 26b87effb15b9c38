"""Examples: the pairs of a folder as images and masks, and the statistics of their channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from fedchain.arrays import Wholes
from fedchain.errors import DataError
from fedchain.randomness import stream
from fedchain.scans.scan import Mask
from fedchain.scans.training.folders import ScanFolder
from fedchain.scans.training.images import OpenSet, truth_of
from fedchain.scans.training.model_file import Channel
from fedchain.scans.training.optimisation import Example
from fedchain.scans.turntable import ChannelKind

ScanProgress = Callable[[int, int, str], None]
"""Called with the steps done, the number of all steps, and what is being done."""
HeldOutWay = Literal["auto", "tiles", "scans", "none"]
"""What is measured and not learned from: every fifth tile of each scan, every fifth scan, or
nothing; ``auto`` is scans where there are at least three pairs, and tiles where there are fewer."""
ONE_OF = 5
"""One tile or scan of so many is held out."""
MOST_HELD_OUT = 8
"""Largest number of scans that are held out, so that measuring them takes less than learning."""
LEAST_PAIRS = 3
"""Least number of pairs of which ``auto`` holds out a whole scan."""
SAMPLED = 100_000
"""Points of a scan from which the statistics of its channels are computed."""
QUANTILES = (0.005, 0.995)
"""Quantiles between which a channel of the training scans lies."""
LEAST_DEVIATION = 1e-6
"""Least standard deviation by which a channel is divided: a constant channel stays near 0."""


def read_examples(folder: ScanFolder, kind: ChannelKind, progress: ScanProgress) -> list[Example]:
    """Read the pairs of a folder; the images are as the scans have them, and nothing is held out.

    Raises:
        DataError: a pair cannot be read, or no pair has a point to erase.
    """
    found: list[Example] = []
    many = len(folder.pairs)
    for each in folder.sets:
        pairs = [file for file in each.scans if file.truth is not None]
        opened = OpenSet(each, kind) if pairs else None
        for file in pairs:
            assert opened is not None
            progress(len(found), many, f"Reading {file.name}")
            read = opened.image(file)
            keep = truth_of(file, read.scan)[read.box]
            nothing = np.zeros(keep.shape, bool)
            found.append(
                Example(file.name, read.image, read.valid, keep, nothing, len(read.views.views))
            )
    if all((example.keep == example.valid).all() for example in found):
        raise DataError(
            f"{folder.path}: every cleaned scan has all points of its original, so there is "
            "nothing to learn; allowed: pairs, of which at least one lacks points"
        )
    return found


def hold_out(examples: Sequence[Example], way: HeldOutWay, side: int, seed: int) -> list[Example]:
    """Return the examples with the pixels that are held out.

    Args:
        examples: the scans.
        way: what is held out.
        side: pixels along a side of a tile.
        seed: seed of the choice of tiles.

    Raises:
        DataError: nothing would be left to learn from, or to measure.
    """
    whole = way == "scans" or (way == "auto" and len(examples) >= LEAST_PAIRS)
    if whole and len(examples) < 2:
        raise DataError("held out: the only pair; allowed with one pair: tiles, none")
    if way == "none":
        return list(examples)
    if whole:
        fifths = range(len(examples) - 1, 0, -ONE_OF)
        chosen = set(fifths[:: len(fifths) // (MOST_HELD_OUT + 1) + 1])
        return [
            replace(each, held_out=np.ones(each.valid.shape, bool)) if i in chosen else each
            for i, each in enumerate(examples)
        ]
    return [
        replace(each, held_out=_some_tiles(each.valid, side, stream(seed, "held out", each.name)))
        for each in examples
    ]


def _some_tiles(valid: Mask, side: int, generator: np.random.Generator) -> Mask:
    """Return every fifth tile that holds a point, and no tile if there are fewer than five."""
    held_out = np.zeros(valid.shape, bool)
    tiles = [
        (slice(row, row + side), slice(column, column + side))
        for row in range(0, valid.shape[0], side)
        for column in range(0, valid.shape[1], side)
        if valid[row : row + side, column : column + side].any()
    ]
    for index in generator.permutation(len(tiles))[: len(tiles) // ONE_OF]:
        held_out[tiles[index]] = True
    return held_out


def statistics_of(examples: Sequence[Example], names: Sequence[str], seed: int) -> list[Channel]:
    """Return what each channel is like at the points of the examples that are not held out."""
    sampled = []
    for each in examples:
        places = np.flatnonzero(each.valid & ~each.held_out)
        if len(places) > SAMPLED:
            places = _sample(places, stream(seed, "statistics", each.name))
        sampled.append(each.image.reshape(len(each.image), -1)[:, places])
    values = np.concatenate(sampled, axis=1).astype(np.float64)
    low, high = np.quantile(values, QUANTILES, axis=1)
    mean, deviation = values.mean(axis=1), values.std(axis=1)
    return [
        Channel(name=name, mean=mean[i], deviation=max(deviation[i], LEAST_DEVIATION),
                low=low[i], high=high[i])
        for i, name in enumerate(names)
    ]  # fmt: skip


def _sample(places: Wholes, generator: np.random.Generator) -> Wholes:
    return places[np.sort(generator.choice(len(places), SAMPLED, replace=False))]
