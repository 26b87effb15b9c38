"""Images of scans: the channels that a model sees, for each scan of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fedchain.arrays import Flags, Wholes
from fedchain.errors import DataError
from fedchain.scans.formats import read_any, read_scan
from fedchain.scans.formats.reading import read_file_points
from fedchain.scans.scan import Cloud, Floats, Mask, Scan, bounding_box
from fedchain.scans.tasks.folder import channels_of
from fedchain.scans.tasks.images import stride_of
from fedchain.scans.tasks.pairs import points_to_keep
from fedchain.scans.tasks.tiles import cut_tiles, padded
from fedchain.scans.training.folders import FileSet, ScanFile, ScanFolder
from fedchain.scans.training.model_file import Card
from fedchain.scans.turntable import CHANNEL_NAMES, ChannelKind, Views, channel_image, read_set
from fedchain.scans.turntable import ScanSet as Turntable


@dataclass(frozen=True, eq=False)
class RowCells:
    """Where the points of a file without a grid are on the grid of their camera."""

    filled: Flags
    """Whether each row of the file holds a point, shape (rows,)."""
    cells: Wholes
    """For each point: its row x width + column in the grid, or -1 if it has no pixel of its own,
    shape (points,)."""

    def in_file_order(self, keep: Mask) -> Flags:
        """Return a mask over the grid as a mask over the rows; points without a pixel are kept."""
        found = self.filled.copy()
        found[self.filled] = (self.cells < 0) | keep.ravel()[np.maximum(self.cells, 0)]
        return found


@dataclass(frozen=True, eq=False)
class ScanImage:
    """One scan with its channels, within the smallest box that holds every point."""

    scan: Scan
    """The scan on its grid."""
    box: tuple[slice, slice]
    """Rows and columns of the box in the grid."""
    image: Floats
    """Channels within the box, float32, shape (channels, h, w); 0 where a pixel is empty."""
    views: Views
    """The scans that the points are compared with; none for channels of the scan alone."""
    rows: RowCells | None = None
    """The rows of a file without a grid; None if the file has one."""

    @cached_property
    def valid(self) -> Mask:
        """Pixels of the box that hold a point, shape (h, w)."""
        return self.scan.valid[self.box]


@dataclass(frozen=True, eq=False)
class OpenSet:
    """A set of scans that is ready to be read, one scan after the other."""

    files: FileSet
    """The files of the set."""
    kind: ChannelKind
    """Kind of channels."""
    tile: int | None = None
    """Side of the tiles, in pixels, of which each has channels of its own; None: a scan's channels
    are computed from the whole scan."""
    size: tuple[int, int] | None = None
    """Height and width of the images to which a scan is brought, of which each has channels of its
    own; None: the scan as it is."""

    @classmethod
    def for_model(cls, files: FileSet, card: Card) -> OpenSet:
        """Return the set with the channels that a model sees."""
        return cls(files, card.kind, card.window if card.alone else None, card.size)

    @cached_property
    def turntable(self) -> Turntable:
        """The cameras of the set."""
        return read_set(self.files.views)

    def image(self, file: ScanFile) -> ScanImage:
        """Read a scan of the set and compute its channels.

        Raises:
            DataError: the file cannot be read, has no grid and fits no camera of the set, or has no
                views that its channels compare it with.
        """
        read, rows, views = read_any(file.path), None, Views([])
        if isinstance(read, Cloud):
            member = self.turntable.member(file.path)
            assert member.pixels is not None
            rows = RowCells(read_file_points(file.path, None)[1].valid, member.pixels)
            read = member.scan
        if self.kind in COMPARED:
            truth = () if file.truth is None else (file.truth,)
            views = self.turntable.views(file.path, truth)
            if not views.views:
                raise DataError(
                    f"{file.path}: no other scan of its set is a view of it, and channels "
                    f"{self.kind} compare it with views; allowed: scans of one turntable, whose "
                    "files hold their cameras, or a model of local channels"
                )
        if self.tile is not None:
            image = _image_of_tiles(read, self.tile, self.kind, views)
            return ScanImage(read, (slice(None), slice(None)), image, views, rows)
        box = bounding_box(read.valid)
        part = read.part(box)
        if self.size is None:
            image = channel_image(part, self.kind, views)
        else:
            image = _image_of_phases(part, self.size, self.kind)
        return ScanImage(read, box, image, views, rows)


def _image_of_tiles(scan: Scan, side: int, kind: ChannelKind, views: Views) -> Floats:
    """Return the channels of a scan whose tiles know nothing of each other."""
    height, width = scan.intensity.shape
    valid = padded(scan.valid, side, False)
    filled = np.flatnonzero(cut_tiles(valid, side).any(axis=(1, 2)))
    tiles = channels_of(scan, side, "tile", kind, views)
    image = np.zeros((tiles.shape[1], *valid.shape), np.float32)
    for number, tile in zip(filled, tiles, strict=True):
        row, column = (side * place for place in divmod(int(number), valid.shape[1] // side))
        image[:, row : row + side, column : column + side] = tile
    return image[:, :height, :width]


def phases(shape: tuple[int, int], size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of images of every n-th pixel, which together have every pixel.

    The number n is the smallest with which an image of ``shape`` fits into ``size``.

    >>> [(rows.start, columns.start) for rows, columns in phases((2, 3), (2, 2))]  # n is 2
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    step = stride_of(shape, size)
    for row in range(min(step, shape[0])):
        for column in range(min(step, shape[1])):
            yield slice(row, None, step), slice(column, None, step)


def _image_of_phases(scan: Scan, size: tuple[int, int], kind: ChannelKind) -> Floats:
    """Return the channels of a scan that is seen as images of every n-th pixel."""
    image = np.zeros((len(CHANNEL_NAMES[kind]), *scan.intensity.shape), np.float32)
    for place in phases(scan.intensity.shape, size):
        part = scan.part(place)
        if part.valid.any():
            image[(..., *place)] = channel_image(part, kind, Views([]))
    return image


COMPARED = ("views", "all")
"""Kinds of channels that compare a scan with the others of its set."""


def kind_for(folder: ScanFolder) -> ChannelKind:
    """Return the kind of channels that suits the pairs of a folder.

    It is ``views`` if the first pair knows its camera and has other scans beside it: these
    channels transfer best from one scan to another. Otherwise it is ``local``.

    Raises:
        DataError: the first pair cannot be read.
    """
    first = folder.pairs[0]
    beside = next(len(each.views) for each in folder.sets if first in each.scans)
    return "views" if beside > 1 and read_scan(first.path).view is not None else "local"


def truth_of(file: ScanFile, scan: Scan) -> Mask:
    """Return which points of one scan of a pair remain after cleaning: see ``points_to_keep``."""
    clean = None if file.truth == file.path else file.truth
    return points_to_keep(scan, file.path, clean)
