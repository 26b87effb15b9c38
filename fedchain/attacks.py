"""Attacks: what Byzantine data holders release instead of their gradient.

LearningChain equation (12) splits every release into a unit direction and its norm. An attack can
therefore change only the direction and the norm.
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
"""An attack is a function ``(release (d,), generator, *, ...)``. It returns the vector (d,) that a
holder sends instead of ``release``, the holder's private gradient of equation (10). ``generator``
is a named stream of the holder and the round."""


@attacks
def sign_flip(release: Vector, generator: np.random.Generator) -> Vector:
    """Send the negative of the holder's gradient, with the same norm.

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
    """Send the holder's direction with a huge norm, so that it dominates the mean, equation (16).

    With ``scale: restore`` the aggregation rule multiplies each direction by the norm that the
    sender declared, so a single huge norm decides the step. ``unit`` and ``median_clip`` prevent
    this.

    Args:
        release: the holder's private gradient, shape (d,).
        generator: not used.
        factor: number that multiplies the norm, above 0.

    Returns:
        The release times the factor, shape (d,).

    >>> norm_inflation(np.ones(1), np.random.default_rng(0), factor=10.0).tolist()
    [10.0]
    """
    del generator
    return release * factor


@attacks
def random_direction(release: Vector, generator: np.random.Generator) -> Vector:
    """Send a uniformly random direction with the norm of the holder's gradient.

    This models a broken sensor rather than an adversary.

    Args:
        release: the holder's private gradient, shape (d,).
        generator: source of the random direction.

    Returns:
        A vector with the norm of the release, shape (d,).

    >>> out = random_direction(np.array([3.0, 4.0]), np.random.default_rng(0))
    >>> float(np.linalg.norm(out).round(9))
    5.0
    """
    direction = generator.standard_normal(release.shape)
    return direction * (np.linalg.norm(release) / np.linalg.norm(direction))
