"""File formats of organised scans (grids of pixels), with one reader for each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fedchain.errors import DataError
from fedchain.scans.formats.cogs import read_cogs
from fedchain.scans.formats.npz import read_npz
from fedchain.scans.formats.ply import read_ply
from fedchain.scans.scan import Scan

READERS: Mapping[str, Callable[[Path], Scan]] = {
    ".cogs": read_cogs,
    ".ply": read_ply,
    ".npz": read_npz,
}
"""Functions that read a scan, by the ending of the file's name."""


def read_scan(path: Path) -> Scan:
    """Read an organised scan; the ending of the file's name selects the format.

    Raises:
        DataError: the file is not a readable, organised scan; the message names the problem.
    """
    ending = path.suffix.lower()
    if ending not in READERS:
        allowed = ", ".join(READERS)
        raise DataError(f"{path}: no scan format ends in {ending!r}; allowed: {allowed}")
    return READERS[ending](path)
