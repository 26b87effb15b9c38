"""Clipping: it bounds how far one record can move the sum of gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

Clipping = Callable[[Tensor], Tensor]
"""Maps the 2-norms of gradients to the factors that multiply these gradients."""
STABILISER = 0.01
"""Number that automatic clipping adds to a gradient's norm, so that no divisor is near 0."""


def clipping_of(clip: float | None, *, automatic: bool = False) -> Clipping | None:
    """Return a function from norms to clipping factors, or None if the clip is None or inf.

    >>> clipping_of(math.inf) is None
    True
    """
    if clip is None or math.isinf(clip):
        return None
    return functools.partial(clip_factors, clip=clip, automatic=automatic)


def clip_factors(norms: Tensor, clip: float, *, automatic: bool = False) -> Tensor:
    """Return the factor min(1, clip / norm) for each norm, or clip / (norm + .01) if automatic.

    Returns:
        Factors, rounded down: factor times norm never exceeds the clip. The factor is 0 if the norm
        is not finite, or if the factor would be below the least normal float. A clipped gradient
        may exceed the clip by the rounding error of its norm: in float32 about 1e-6, at worst 1e-3
        for 10^6 equal entries.

    Reference:
        Bu, Wang, Zha and Karypis, Automatic Clipping, NeurIPS 2023, AUTO-S.

    >>> clip_factors(torch.tensor([0.5, 2.0, float("inf")]), 1.0)
    tensor([1.0000, 0.5000, 0.0000])
    >>> clip_factors(torch.tensor([0.49, 1.99, float("inf")]), 1.0, automatic=True)
    tensor([2.0000, 0.5000, 0.0000])
    """
    factors = clip / (norms + STABILISER) if automatic else (clip / norms).clamp(max=1.0)
    numbers = torch.finfo(norms.dtype)
    factors = factors * (1 - 4 * numbers.eps)
    return torch.where(factors >= numbers.tiny, factors, torch.zeros_like(factors))


def clip_rows(rows: Tensor, clipping: Clipping, norms: Tensor | None = None) -> None:
    """Clip the 2-norm of every row in place; each row is a gradient.

    ``norms`` has the norms of the rows; with None they are computed here.
    """
    factors = clipping(torch.linalg.vector_norm(rows, dim=1) if norms is None else norms)
    rows *= factors[:, None]
    if not bool(factors.all()):
        rows[factors == 0] = 0.0  # inf * 0 and NaN * 0 are NaN


def clipped_sum(rows: Tensor, clipping: Clipping) -> Tensor:
    """Return the float64 sum of all rows after each row is clipped; each row is a gradient.

    >>> clipped_sum(torch.tensor([[3.0, 4.0], [0.0, 0.5]]), clipping_of(1.0))
    tensor([0.6000, 1.3000], dtype=torch.float64)
    """
    factors = clipping(torch.linalg.vector_norm(rows, dim=1))
    if not bool(factors.all()):
        rows = torch.where(factors[:, None] > 0, rows, torch.zeros_like(rows))
    return factors.double() @ rows.double()
