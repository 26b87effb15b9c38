"""Pictures: what the model of each round keeps of a few held-out scans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fedchain.arrays import Array, Vector
from fedchain.page.lines import PageRecord, b64, bits, page_record
from fedchain.registry import Part
from fedchain.scenario import Scenario

if TYPE_CHECKING:
    from fedchain.learning.task import ShownScan, Task

MOST_CLOUD_POINTS = 20_000
"""Largest number of points of a cloud; of more, one in n is shown."""
LARGEST_MASK = 2**20
"""Largest number of pixels of a scan whose masks are shown."""
LARGEST_STEP = 2**15 - 1
"""Largest coordinate of a point of a cloud, in steps of ``scale_m``."""


class ScanPictures:
    """Runs the models of a run on the held-out scans that it shows."""

    def __init__(self, task: Task, count: int) -> None:
        """Choose the first scans of a task, at most ``count``."""
        found = task.shown(count) if task.shown is not None else ()
        self._scans = [scan for scan in found if scan.valid.size <= LARGEST_MASK]
        self._task = task
        self._module = task.model().eval() if self._scans else None
        self._lock = threading.Lock()  # several readers may look at one run

    def stills(self) -> Iterator[PageRecord]:
        """Yield the intensity and the depth of each scan, as grey values from 0 to 255."""
        for index, scan in enumerate(self._scans):
            height, width = scan.valid.shape
            yield page_record(
                "picture",
                scan=index,
                name=scan.name,
                height=height,
                width=width,
                # The square root brightens the scan, as in the pictures of ``samples``.
                intensity=_grey(np.sqrt(scan.image[0])),
                depth=_grey(scan.image[1]),
                valid=bits(scan.valid),
            )

    def masks(self, round_: int, weights: Vector) -> Iterator[PageRecord]:
        """Yield what the model with these weights keeps of each scan after a round."""
        for index, scan in enumerate(self._scans):
            height, width = scan.valid.shape
            kept = self._kept(scan, weights)
            yield page_record(
                "mask",
                round=round_,
                scan=index,
                height=height,
                width=width,
                truth=bits(scan.keep),
                kept=bits(kept & scan.valid),
            )

    def clouds(self, round_: int, weights: Vector) -> Iterator[PageRecord]:
        """Yield the points of each scan, in the order of their pixels, and which the model keeps.

        The points are given from the middle of their box. Of more than ``MOST_CLOUD_POINTS`` valid
        pixels, one in ``every`` is given.
        """
        for index, scan in enumerate(self._scans):
            if scan.positions is None or not scan.valid.any():
                continue
            every = -(-int(scan.valid.sum()) // MOST_CLOUD_POINTS)
            points = scan.positions[scan.valid][::every].astype(np.float64)
            points -= (points.min(axis=0) + points.max(axis=0)) / 2.0
            scale = max(float(np.abs(points).max()) / LARGEST_STEP, 1e-9)
            kept = self._kept(scan, weights)
            yield page_record(
                "cloud",
                scan=index,
                round=round_,
                points=b64(np.rint(points / scale).astype("<i2").tobytes()),
                scale_m=scale,
                every=every,
                truth=bits(scan.keep[scan.valid][::every]),
                kept=bits(kept[scan.valid][::every]),
            )

    def _kept(self, scan: ShownScan, weights: Vector) -> Array:
        import torch

        from fedchain.learning.evaluation import PIECE, load_weights
        from fedchain.machine import exact_arithmetic

        assert self._module is not None, "there are scans"
        inputs = np.require(self._task.held_out.inputs[scan.examples], requirements=["W", "C"])
        with self._lock, exact_arithmetic(), torch.no_grad():
            load_weights(self._module, weights)
            pieces = torch.split(torch.from_numpy(inputs), PIECE)
            outputs = torch.cat([self._module(piece) for piece in pieces]).numpy()
        return np.asarray(scan.kept(outputs))


def pictures_of(scenario: Scenario) -> ScanPictures | None:
    """Return the pictures of a scenario; None if it shows no scans.

    The scans are read or simulated again, as a run does.

    Raises:
        DataError: the scans cannot be read.
    """
    if not scenario.evaluate.samples or not any(map(_may_show, scenario.task.nested())):
        return None
    from fedchain.learning.task import tasks

    task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
    return ScanPictures(task, scenario.evaluate.samples)


def _may_show(part: Part) -> bool:
    """Return whether a part is a task of scans, or may be one."""
    return part.kind.startswith("scan_") or ":" in part.kind


def _grey(values: Array) -> str:
    return b64(np.rint(255.0 * np.clip(np.nan_to_num(values), 0.0, 1.0)).astype(np.uint8).tobytes())
