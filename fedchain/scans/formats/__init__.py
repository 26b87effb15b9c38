"""File formats of organised scans (grids of pixels): writers, and readers that check all sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from fedchain.errors import DataError
from fedchain.scans.formats.cogs import read_cogs
from fedchain.scans.formats.npz import read_npz, write_npz
from fedchain.scans.formats.ply import read_ply, write_ply
from fedchain.scans.scan import Scan

_Handler = TypeVar("_Handler")

READERS: Mapping[str, Callable[[Path], Scan]] = {
    ".cogs": read_cogs,
    ".ply": read_ply,
    ".npz": read_npz,
}
"""Functions that read a scan, by the ending of the file's name."""
WRITERS: Mapping[str, Callable[[Path, Scan], None]] = {".ply": write_ply, ".npz": write_npz}
"""Functions that write a scan, by the ending of the file's name."""


def read_scan(path: Path) -> Scan:
    """Read an organised scan; the ending of the name selects the format.

    Raises:
        DataError: the file is not a readable, organised scan; the message names the problem.
    """
    return _choose(path, READERS)(path)


def write_scan(path: Path, scan: Scan) -> None:
    """Write an organised scan; the ending of the name selects the format.

    Raises:
        DataError: no format has this ending.
        OSError: the file cannot be written.
    """
    _choose(path, WRITERS)(path, scan)


def _choose(path: Path, by_ending: Mapping[str, _Handler]) -> _Handler:
    ending = path.suffix.lower()
    if ending not in by_ending:
        allowed = ", ".join(by_ending)
        raise DataError(f"{path}: no scan format ends in {ending!r}; allowed: {allowed}")
    return by_ending[ending]
