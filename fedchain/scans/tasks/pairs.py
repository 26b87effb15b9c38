"""Pairs in a folder: a scan, and which of its points remained when it was cleaned by hand."""

from __future__ import annotations

import logging
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedchain.errors import DataError
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import Mask, Scan

HeldOutScans = Annotated[int, Field(ge=1, le=10_000)] | Annotated[str, Field(min_length=1)]
"""Which scans are held out: a number of scans, the last ones, or a pattern of their names."""
APPLE_DOUBLE = "._"
"""Beginning of the names of files in which macOS keeps the attributes of other files."""
_log = logging.getLogger(__name__)
WITHOUT_DATA = "without scans of your own: fedchain run turntable, which simulates its scans"
"""What can be run instead, if the scans of a scenario do not lie here."""


def pairs(folder: Path, dirty: str, clean: str) -> dict[str, tuple[Path, Path]]:
    """Return the paths of each scan before and after cleaning, by the text that ``*`` stands for.

    Raises:
        DataError: the folder does not exist, a pattern does not have exactly one ``*``, there is no
            pair, or a cleaned scan has no original.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; give one with {dirty} and {clean} as task.path; "
            f"{WITHOUT_DATA}"
        )
    originals, cleaned_ones = _matches(folder, dirty), _matches(folder, clean)
    for name in sorted(cleaned_ones.keys() - originals.keys()):
        wanted = dirty.replace("*", name)
        raise DataError(f"{cleaned_ones[name]}: has no original; allowed: {wanted} beside it")
    for name in sorted(originals.keys() - cleaned_ones.keys()):
        _log.warning("%s: left out: not cleaned yet", originals[name])
    both = {name: (originals[name], cleaned_ones[name]) for name in sorted(cleaned_ones)}
    if not both:
        raise DataError(f"{folder}: holds no pair of {dirty} and {clean}; allowed: at least two")
    return both


def scan_and_mask(dirty: Path, clean: Path | None) -> tuple[Scan, Mask]:
    """Read a scan, and the mask of the points to keep: see ``points_to_keep``."""
    scan = read_scan(dirty)
    keep = points_to_keep(scan, dirty, clean)
    if (scan.intensity[scan.valid] == 1).all():
        _log.warning(
            "%s: has no brightness: every point has intensity 1, and the model learns from shape "
            "alone; PLY: intensity, Texture32, or red, green and blue; NPZ: intensity",
            dirty,
        )
    return scan, keep


def points_to_keep(scan: Scan, dirty: Path, clean: Path | None) -> Mask:
    """Return the mask of the points of a scan that remain after cleaning, shape (height, width).

    They are those of the cleaned file or, if it has a mask ``keep``, of this mask. Without a
    cleaned file, the scan's own file must have the mask.

    Args:
        scan: the scan before cleaning.
        dirty: its file.
        clean: the cleaned file, or None.

    Raises:
        DataError: the cleaned file cannot be read, has another grid than the scan or points that
            the scan lacks; there is no mask; or the cleaning left no point.
    """
    after = scan if clean is None else read_scan(clean)
    if clean is None and scan.keep is None:
        raise DataError(
            f"{dirty}: has no mask of the points to keep; allowed: a file with keep (NPZ, PLY or "
            "PCD), or cleaned scans beside it and their pattern as task.clean"
        )
    if scan.intensity.shape != after.intensity.shape:
        raise DataError(
            f"{clean}: has {after.intensity.shape} pixels; "
            f"allowed: {scan.intensity.shape}, those of {dirty.name}"
        )
    keep = after.valid if after.keep is None else after.valid & after.keep
    if new := int((keep & ~scan.valid).sum()):
        raise DataError(
            f"{clean}: has {new} points that {dirty.name} lacks; allowed: a scan from which points "
            "were erased (are the two swapped?)"
        )
    if not keep.any():
        raise DataError(f"{clean or dirty}: keeps no point of {dirty.name}; allowed: at least one")
    return keep


def held_out_of(folder: Path, names: list[str], held_out: int | str, needed: int) -> set[str]:
    """Return the names of the held-out scans; at least ``needed`` others must remain.

    Raises:
        DataError: no scan is held out, or too few remain.
    """
    if isinstance(held_out, str):
        test = {name for name in names if fnmatchcase(name, held_out)}
    else:
        test = set(names[-held_out:])
    if not test or len(names) - len(test) < needed:
        raise DataError(
            f"{folder}: has {len(names)} cleaned scans, of which task.held_out: {held_out} holds "
            f"out {len(test)}; allowed: at least 1 held out, and at least {needed} others to train "
            "on (one for each holder if a scan is a record)"
        )
    return test


def _matches(folder: Path, pattern: str) -> dict[str, Path]:
    before, star, after = pattern.partition("*")
    if not star or "*" in after or "/" in pattern or "\\" in pattern:
        raise DataError(f"{folder}: pattern {pattern!r}; allowed: a file name with exactly one *")
    wanted = re.compile(re.escape(before) + "(.+)" + re.escape(after))
    names = (path for path in sorted(folder.iterdir()) if not path.name.startswith(APPLE_DOUBLE))
    found = {path: wanted.fullmatch(path.name) for path in names}
    return {match[1]: path for path, match in found.items() if match}
