"""Removal: deletes the folder of a run or of a sweep."""

from __future__ import annotations

from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.files import check_folder
from fedchain.results.folder import LEDGER, MANIFEST, RunFolder
from fedchain.system import place_beside

SWEEP = "sweep.json"
"""Name of the file that every sweep's folder has."""


def is_removable(folder: Path) -> bool:
    """Return whether a folder is that of a run, of an imported chain, or of a sweep."""
    return any((folder / name).exists() for name in (MANIFEST, LEDGER, SWEEP))


def bytes_of(folder: Path) -> int:
    """Return the number of bytes of all files in a folder, at any depth."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def remove(folder: Path) -> None:
    """Delete the folder of a run or of a sweep, with everything in it.

    The folder is moved away as a whole first. So either it is there as before, or it is gone.

    Raises:
        RunRefused: the folder is neither a run nor a sweep, is a link, is in use, or belongs to
            another user.
        RunError: the disk fails.
    """
    if folder.is_symlink():
        raise RunRefused(f"{folder}: is a link; give the folder itself")
    if not folder.is_dir() or not is_removable(folder):
        what = "is no run and no sweep" if folder.exists() else "does not exist"
        raise RunRefused(f"{folder}: {what}; only folders of runs and of sweeps are deleted")
    check_folder(folder, own=True)
    for run in sorted(folder.glob(f"runs/*/{MANIFEST}")):
        if RunFolder(run.parent).in_use():
            raise RunRefused(f"{run.parent}: another process is running it")
    try:
        with place_beside(folder) as place:
            RunFolder(folder).throw_away(place / "removed")
    except OSError as error:
        raise cannot(folder, "be deleted", error) from error
