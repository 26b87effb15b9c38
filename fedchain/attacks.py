"""Byzantine data holders: what they release instead of their gradient.

After the normalisation (12) every attack lives on the unit sphere; only s_k carries a length.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Single, Vector
from fedchain.registry import Family


def _flaw(made: Single | Vector, release: Single | Vector, *_: object) -> str | None:
    if made.shape == release.shape and made.dtype.kind in "fiu":
        return None
    return f"must return numbers of shape {release.shape}, got {made.dtype} of shape {made.shape}"


attacks: Family[Single | Vector] = Family("attack", ("fedchain.attacks",), np.ndarray, _flaw)
"""Part: ``(release (d,), generator, *, ...) -> what is sent instead (d,)``; the release is the
holder's own private gradient (10), the generator a named stream of this holder and round."""


@attacks
def sign_flip(release: Vector, generator: np.random.Generator) -> Vector:
    """Send the opposite of the own gradient, at the same length.

    Args:
        release: the holder's private gradient, shape (d,).
        generator: not used.

    Returns:
        Minus the release, shape (d,).

    >>> sign_flip(np.array([1.0, -2.0]), np.random.default_rng(0)).tolist()
    [-1.0, 2.0]
    """
    del generator
    return -release


@attacks
def norm_inflation(
    release: Vector, generator: np.random.Generator, *, factor: Annotated[float, Field(gt=0)] = 1e6
) -> Vector:
    """Send the own direction with a huge length, to own the mean of (16).

    ``scale: restore`` multiplies the sender's own s_k back in, so one such sender decides the
    step; ``unit`` and ``median_clip`` are the remedies.

    Args:
        release: the holder's private gradient, shape (d,).
        generator: not used.
        factor: how many times longer, above 0.

    Returns:
        The release times the factor, shape (d,).

    >>> norm_inflation(np.ones(1), np.random.default_rng(0), factor=10.0).tolist()
    [10.0]
    """
    del generator
    return release * factor


@attacks
def random_direction(release: Vector, generator: np.random.Generator) -> Vector:
    """Send a uniformly random direction at the own length: a broken sensor, not an enemy.

    Args:
        release: the holder's private gradient, shape (d,).
        generator: where the direction comes from.

    Returns:
        A vector of the release's length, shape (d,).

    >>> out = random_direction(np.array([3.0, 4.0]), np.random.default_rng(0))
    >>> float(np.linalg.norm(out).round(9))
    5.0
    """
    direction = generator.standard_normal(release.shape)
    return direction * (np.linalg.norm(release) / np.linalg.norm(direction))
