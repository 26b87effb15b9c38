"""Runs whose every bit is the same on any processor: gradients and noise are whole numbers.

Gradients of dense models, which torch computes, are rounded differently on different processors.
Messages and hashes then differ, and so do the forks, the releases that forks cost, and the makers
of the blocks. Noise has the same bits everywhere, but whole noise added to whole gradients gives
whole numbers. Sums and products of small whole numbers are exact everywhere, in any order; what the
ledger computes from them is exact by design. A test that needs a certain course of events uses
these runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest

from fedchain import commitment
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import Records
from fedchain.randomness import KeyStream, digest

WHOLE = {"kind": "gaussian", "noise_multiplier": 2.0, "delta": 1e-3, "clip": 1.0, "unit": "holder"}
"""A privacy block whose noise is twice that of ``whole_normals``. The unit is the holder, so that
the scale does not depend on numbers of records; a given noise multiplier is used as it is."""


def whole_gradients(weights: np.ndarray, holders: Sequence[int], *_: object) -> np.ndarray:
    """Return whole gradients, (len(holders), len(weights)): a common part and one per holder."""
    common, place = _between(9, weights.size, "common"), weights.tobytes()
    own = [_between(2, weights.size, "own", holder, place) for holder in holders]
    return np.float32(common + np.array(own))


def whole_normals(keys: Sequence[bytes], count: int) -> np.ndarray:
    """Return whole noise from -2 to 2 that depends on the keys alone, (len(keys), count)."""
    rows = [KeyStream(key).words(count) % np.uint64(5) for key in keys]
    return np.array(rows, dtype=np.float32).reshape(len(keys), count) - np.float32(2)


def counts_digest(held: Iterable[Records]) -> bytes:
    """Return a digest of the numbers of records alone: features are rounded where they are made."""
    return hashlib.sha256(repr([records.count for records in held]).encode()).digest()


@contextlib.contextmanager
def whole_numbers(*, noise: bool = True) -> Iterator[None]:
    """Let all holders of this process have whole gradients, and commit to counts.

    Genesis then does not depend on the last bits of the data. With ``noise``, holders draw whole
    noise, too; without, they draw the noise of their mechanism.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CohortGradients, "__call__", lambda _, *asked: whole_gradients(*asked))
        if noise:
            gaussian = importlib.import_module("fedchain.privacy.mechanisms.gaussian")
            patch.setattr(gaussian, "normals", whole_normals)
        patch.setattr(commitment, "_digest_of", counts_digest)
        yield


def _between(most: int, count: int, *names: str | int | bytes) -> np.ndarray:
    """Return whole numbers from -most to most that depend on the names alone, (count,)."""
    words = KeyStream(digest(0, *names)).words(count) % np.uint64(2 * most + 1)
    return words.astype(np.int64) - most
