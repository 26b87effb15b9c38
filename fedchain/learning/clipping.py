"""Clipping: what bounds how far one record can move the sum, equation (6)."""

from __future__ import annotations

import torch
from torch import Tensor


def clip_factors(norms: Tensor, clip: float) -> Tensor:
    """Return min(1, clip / norm) for each norm (n,), rounded down; 0 where it is not finite.

    A record whose gradient overflowed would otherwise leave the bound as NaN.

    >>> clip_factors(torch.tensor([0.5, 2.0, float("inf")]), 1.0)
    tensor([1.0000, 0.5000, 0.0000])
    """
    factors = (clip / norms).clamp(max=1.0) * (1 - 4 * torch.finfo(norms.dtype).eps)
    return torch.where(torch.isfinite(norms), factors, torch.zeros_like(factors))


def clipped_sum(rows: Tensor, clip: float) -> Tensor:
    """Return the sum (d,) of rows (n, d), each clipped to a 2-norm of at most clip.

    >>> clipped_sum(torch.tensor([[3.0, 4.0], [0.0, 0.5]]), 1.0)
    tensor([0.6000, 1.3000])
    """
    factors = clip_factors(torch.linalg.vector_norm(rows, dim=1), clip)
    if not bool(factors.all()):
        rows = torch.where(factors[:, None] > 0, rows, torch.zeros_like(rows))
    return factors @ rows
