"""Cleaning: the probability that a model gives to each point of a scan to be kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from fedchain.errors import DataError
from fedchain.interruption import stop_if_asked
from fedchain.scans.scan import Floats, Mask
from fedchain.scans.tasks.images import padded_to
from fedchain.scans.training.images import phases
from fedchain.scans.training.model_file import Card, Channel, TrainedModel
from fedchain.scans.training.windows import Corner, corners, put_centre, window_at

_Item = TypeVar("_Item")

WINDOWS_AT_ONCE = 16
"""Windows that a model sees at once when a scan is cleaned."""
UNLIKE = 0.5
"""Share of a scan's points outside of the range of the training scans, in one channel, from which
the scan is unlike what the model knows."""


def device_of(name: str) -> torch.device:
    """Return the device with this name: ``cpu``, ``cuda``, or ``auto`` for cuda where there is one.

    Raises:
        DataError: there is no such device.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise DataError("device cuda: this machine has none that torch can use; allowed: cpu, auto")
    return torch.device("cuda" if name != "cpu" and there else "cpu")


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield the items in lists of ``size``; the last list may be shorter.

    >>> list(batches("abc", 2))
    [['a', 'b'], ['c']]
    """
    items = iter(items)
    while some := list(itertools.islice(items, size)):
        yield some


def normalised(image: Floats, valid: Mask, channels: Sequence[Channel]) -> Floats:
    """Return an image (channels, height, width) scaled by the channels' means and deviations.

    Empty pixels become 0.
    """
    means = np.array([each.mean for each in channels], np.float32)[:, None, None]
    scales = np.array([1 / each.deviation for each in channels], np.float32)[:, None, None]
    return np.where(valid, (image - means) * scales, np.float32(0))


def seen_at(
    image: Floats, valid: Mask, channels: Sequence[Channel], corner: Corner, side: int
) -> Floats:
    """Return what a model sees in the window at a corner, shape (channels, side, side)."""
    return normalised(window_at(image, corner, side), window_at(valid, corner, side), channels)


def logits_in(
    module: nn.Module,
    image: Floats,
    valid: Mask,
    wanted: Mask,
    channels: Sequence[Channel],
    side: int,
    margin: int,
) -> Floats:
    """Return a model's logits at the wanted pixels of a scan, shape (height, width).

    Args:
        module: the model.
        image: channels as the scan has them, shape (channels, height, width).
        valid: pixels that hold a point, shape (height, width).
        wanted: pixels whose logits are asked for; the others have any value.
        channels: what the channels are scaled by.
        side: pixels along a side of the model's windows.
        margin: pixels at each side of a window for which the model's answer is not used.
    """
    found = np.zeros(valid.shape, np.float32)
    device = next(module.parameters()).device
    module.eval()
    for some in batches(corners(wanted, side, margin), WINDOWS_AT_ONCE):
        stop_if_asked()
        windows = np.stack([seen_at(image, valid, channels, at, side) for at in some])
        with torch.inference_mode():
            logits: torch.Tensor = module(torch.from_numpy(windows).to(device))
        own = logits.numpy(force=True).reshape(len(some), side, side)
        for at, window in zip(some, own, strict=True):
            put_centre(found, window, at, margin)
    return found


def chances(trained: TrainedModel, image: Floats, valid: Mask) -> Floats:
    """Return the probability to keep each point, shape (height, width); 0 where there is none.

    ``image`` has the channels as the scan has them, shape (channels, height, width).
    """
    card = trained.card
    if card.size is None:
        side, margin = card.window, card.margin
        logits = logits_in(trained.module, image, valid, valid, card.channels, side, margin)
    else:
        logits = _logits_of_phases(trained.module, image, valid, card.channels, card.size)
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the chance is 0
        return np.where(valid, 1 / (1 + np.exp(-logits)), np.float32(0))


def _logits_of_phases(
    module: nn.Module,
    image: Floats,
    valid: Mask,
    channels: Sequence[Channel],
    size: tuple[int, int],
) -> Floats:
    """Return a model's logits at all pixels of a scan that it sees as images of every n-th one."""
    found = np.zeros(valid.shape, np.float32)
    device = next(module.parameters()).device
    module.eval()
    for some in batches(phases((valid.shape[0], valid.shape[1]), size), WINDOWS_AT_ONCE):
        stop_if_asked()
        seen = [normalised(image[(..., *at)], valid[at], channels) for at in some]
        images = torch.from_numpy(np.stack([padded_to(each, size, 0.0) for each in seen]))
        with torch.inference_mode():
            logits: torch.Tensor = module(images.to(device))
        for at, own in zip(some, logits.numpy(force=True).reshape(-1, *size), strict=True):
            height, width = found[at].shape
            found[at] = own[:height, :width]
    return found


def unlike(card: Card, image: Floats, valid: Mask, views: int) -> tuple[str, ...]:
    """Say in what a scan is unlike the scans that the model was trained on.

    Args:
        card: the model's card, which has the statistics of the training scans.
        image: channels of the scan, shape (channels, height, width).
        valid: pixels that hold a point, shape (height, width).
        views: number of other scans that the channels compare this one with.

    Returns:
        A reason for each channel in which more than half of the points lie outside of the range of
        the training scans (their quantiles .005 and .995), and one if the scan is compared with
        fewer scans than every training scan was.
    """
    found = []
    if views < card.views:
        found.append(f"{views} other views, trained with {card.views} or more")
    for channel, values in zip(card.channels, image, strict=True):
        own = values[valid]
        outside = float(((own < channel.low) | (own > channel.high)).mean()) if len(own) else 0.0
        if outside > UNLIKE:
            low, high = f"{channel.low:.3g}", f"{channel.high:.3g}"
            found.append(f"{outside:.0%} of the points have {channel.name} not in {low} to {high}")
    return tuple(found)
