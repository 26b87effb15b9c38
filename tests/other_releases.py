"""Releases of a run that are not those of its data: a forger's, or those of another processor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from fedchain.nodes.holders import holder_pool
from fedchain.nodes.holders.release import ReleaseContext

Change = Callable[[np.ndarray, Sequence[ReleaseContext]], None]


@contextlib.contextmanager
def other_releases(change: Change) -> Iterator[None]:
    """Let a function change the noisy gradients (n, d) of holders, in place, before they sign."""
    true = holder_pool.private_releases

    def changed(*asked: Any) -> np.ndarray:
        releases = true(*asked).copy()
        change(releases, asked[-1])
        return releases

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holder_pool, "private_releases", changed)
        yield


def rounded_otherwise(releases: np.ndarray, contexts: Sequence[ReleaseContext]) -> None:
    """Move the last bits of every entry, as another processor would."""
    generator = np.random.default_rng([context.holder for context in contexts])
    releases *= np.float32(1.0 + 4e-7 * generator.standard_normal(releases.shape))
