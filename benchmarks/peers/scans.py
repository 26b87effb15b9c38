"""The workload of the U-Net: a small network, holders of eight scans each, clipped one by one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from fedchain.scans.models import gajdosech_unet

SCANS, SHAPE, CLIP = 8, (2, 64, 64), 0.1


def network() -> nn.Module:
    """Return the U-Net with two levels and eight channels, its weights fixed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return gajdosech_unet(SHAPE, 1, levels=2, width=8)


def scans(holder: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (8, 2, 64, 64) and masks (8, 64, 64) of a holder, float32."""
    generator = np.random.default_rng([3, holder])
    images = generator.standard_normal((SCANS, *SHAPE), dtype=np.float32)
    return images, (generator.random((SCANS, *SHAPE[1:])) > 0.5).astype(np.float32)


def losses(outputs: Tensor, masks: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over pixels, one number a scan."""
    each = nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], masks, reduction="none")
    return each.mean((1, 2))


def clipped_mean(singles: Tensor) -> Tensor:
    """Return the mean (d,) of gradients (n, d), each clipped to a norm of ``CLIP``."""
    factors = (CLIP / torch.linalg.vector_norm(singles, dim=1)).clamp(max=1)
    return factors @ singles / len(singles)


def plain(holders: int) -> Tensor:
    """Return the gradients (n, d) that autograd finds a scan at a time, in float64."""
    module, rows = network().double(), []
    for holder in range(holders):
        singles = []
        for image, mask in zip(*scans(holder), strict=True):
            given, known = (torch.from_numpy(each)[None].double() for each in (image, mask))
            loss = losses(module(given), known)[0]
            found = torch.autograd.grad(loss, list(module.parameters()))
            singles.append(torch.cat([each.flatten() for each in found]))
        rows.append(clipped_mean(torch.stack(singles)))
    return torch.stack(rows)
