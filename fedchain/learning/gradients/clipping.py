"""Clipping: what bounds how far one record can move the sum, equation (6)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

Clipping = Callable[[Tensor], Tensor]
"""2-norms (n,) to what gradients of these norms are multiplied by, (n,)."""
STABILISER = 0.01
"""Added to a norm before it divides: gradients far below it fade out, and do not count in full."""


def clipping_of(clip: float | None, *, automatic: bool = False) -> Clipping | None:
    """Return how gradients are brought below a bound; None: they are not.

    Args:
        clip: the bound on the 2-norm; None or inf: none.
        automatic: bring all of them near the bound, instead of cutting the longer ones at it.

    >>> clipping_of(math.inf) is None
    True
    """
    if clip is None or math.isinf(clip):
        return None
    return functools.partial(automatic_factors if automatic else clip_factors, clip=clip)


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, clip / norm) for each norm (n,), rounded down; 0 where it is not finite.

    A record whose gradient overflowed would otherwise leave the bound as NaN.

    >>> clip_factors(torch.tensor([0.5, 2.0, float("inf")]), 1.0)
    tensor([1.0000, 0.5000, 0.0000])
    """
    return _bounding((clip / norms).clamp(max=1.0), norms)


def automatic_factors(norms: Tensor, clip: float) -> Tensor:
    """Return clip / (norm + .01) for each norm (n,), rounded down; 0 where it is not finite.

    Reference:
        Bu, Wang, Zha and Karypis, Automatic Clipping, NeurIPS 2023, AUTO-S.

    >>> automatic_factors(torch.tensor([0.49, 1.99, float("inf")]), 1.0)
    tensor([2.0000, 0.5000, 0.0000])
    """
    return _bounding(clip / (norms + STABILISER), norms)


def clipped_sum(rows: Tensor, clipping: Clipping) -> Tensor:
    """Return the sum (d,) of rows (n, d), each brought below a bound on its 2-norm.

    >>> clipped_sum(torch.tensor([[3.0, 4.0], [0.0, 0.5]]), clipping_of(1.0))
    tensor([0.6000, 1.3000])
    """
    factors = clipping(torch.linalg.vector_norm(rows, dim=1))
    if not bool(factors.all()):
        rows = torch.where(factors[:, None] > 0, rows, torch.zeros_like(rows))
    return factors @ rows


def _bounding(factors: Tensor, norms: Tensor) -> Tensor:
    """Round factors down, so that theirs leads not above the bound; 0 where one cannot hold it.

    What is below the least normal number is rounded far more coarsely than that. The norm itself
    is a sum of d squares in the type of the rows: in float32 it is right to some 1e-6, at worst
    (10^6 equal numbers) to 1e-3, and by so much a gradient may be longer than the bound. In
    float64 the sum would take as long as all else of a clip.
    """
    numbers = torch.finfo(norms.dtype)
    factors = factors * (1 - 4 * numbers.eps)
    return torch.where(factors >= numbers.tiny, factors, torch.zeros_like(factors))
