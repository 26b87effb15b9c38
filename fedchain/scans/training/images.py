"""Images of scans: the channels that a model sees, for each scan of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedchain.arrays import Wholes
from fedchain.errors import DataError
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Floats, Mask, Scan, bounding_box
from fedchain.scans.training.folders import ScanFile, ScanFolder, ScanSet
from fedchain.scans.turntable import ChannelKind, Views, channel_image, read_set
from fedchain.scans.turntable import ScanSet as Turntable

GRIDLESS = (".npy", ".xyz")
"""Endings of the names of files that may hold a cloud without a grid."""


@dataclass(frozen=True, eq=False)
class ScanImage:
    """One scan with its channels, within the smallest box that holds every point."""

    scan: Scan
    """The scan on its grid."""
    box: tuple[slice, slice]
    """Rows and columns of the box in the grid."""
    image: Floats
    """Channels within the box, float32, shape (channels, h, w); 0 where a pixel is empty."""
    cells: Wholes | None = None
    """For a file without a grid: row x width + column of each point, in the order of the file, or
    -1 for a point without a pixel of its own, shape (n,). None if the file has a grid."""

    @property
    def valid(self) -> Mask:
        """Pixels of the box that hold a point, shape (h, w)."""
        return self.scan.valid[self.box]

    def in_file_order(self, keep: Mask) -> Mask:
        """Return a mask over the grid in the order of the file: (height, width), or (n,) without.

        Points that have no pixel of their own are kept.
        """
        if self.cells is None:
            return keep
        return np.where(self.cells >= 0, keep.ravel()[np.maximum(self.cells, 0)], True)


@dataclass(frozen=True, eq=False)
class OpenSet:
    """A set of scans that is ready to be read, one scan after the other."""

    files: ScanSet
    """The files of the set."""
    kind: ChannelKind
    """Kind of channels."""

    @cached_property
    def turntable(self) -> Turntable:
        """The cameras of the set, and what each of its scans says about the others' points."""
        return read_set(self.files.views)

    def image(self, file: ScanFile) -> ScanImage:
        """Read a scan of the set and compute its channels.

        Raises:
            DataError: the file cannot be read, or has no grid and fits no camera of the set.
        """
        views, cells = Views([]), None
        if self.kind == "views" or file.path.suffix.lower() in GRIDLESS:
            member = self.turntable.member(file.path)
            scan, cells = member.scan, member.pixels
            truth = () if file.truth is None else (file.truth,)
            views = self.turntable.views(file.path, truth)
        else:
            scan = read_scan(file.path)
        box = bounding_box(scan.valid)
        return ScanImage(scan, box, channel_image(scan.part(box), self.kind, views), cells)


def kind_for(folder: ScanFolder) -> ChannelKind:
    """Return the kind of channels that suits the pairs of a folder.

    It is ``views`` if the first pair knows its camera and has other scans beside it, else
    ``local``.

    Raises:
        DataError: the first pair cannot be read.
    """
    first = folder.pairs[0]
    beside = next(len(each.views) for each in folder.sets if first in each.scans)
    return "views" if beside > 1 and read_scan(first.path).view is not None else "local"


def truth_of(file: ScanFile, scan: Scan) -> Mask:
    """Return which points of a scan remain after cleaning, shape (height, width).

    Raises:
        DataError: the cleaned file cannot be read, has another grid than the scan or points that
            the scan lacks, or keeps nothing.
    """
    if file.truth is None:
        raise DataError(f"{file.path}: has no cleaned scan beside it; allowed: pairs")
    clean = scan if file.truth == file.path else read_scan(file.truth)
    if clean.intensity.shape != scan.intensity.shape:
        raise DataError(
            f"{file.truth}: has {clean.intensity.shape} pixels; "
            f"allowed: {scan.intensity.shape}, those of {file.path.name}"
        )
    keep = clean.valid if clean.keep is None else clean.valid & clean.keep
    if new := int((keep & ~scan.valid).sum()):
        words = f"has {new} points that {file.path.name} lacks"
        raise DataError(f"{file.truth}: {words}; allowed: a scan from which points were erased")
    if not keep.any():
        raise DataError(f"{file.truth}: keeps no point of {file.path.name}; allowed: at least one")
    return keep
