"""Stale files: a new report removes what an earlier report of the same folder left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from fedchain.errors import RunRefused, cannot
from fedchain.files import read_json, write_whole

INDEX = "report.json"
"""Name of the file that lists what the last report wrote into the folder."""
MOST_FILES = 100_000
"""Limit on the files that an index lists."""
_ALLOWED = re.compile(r"(?:(?:figures|tables)/)?[^/\\\x00]{1,200}")


def remove_stale(folder: Path, written: Iterable[Path]) -> list[Path]:
    """Remove the files of the last report that this one did not write, and list the new ones.

    Only files that the index names are removed, so that pictures of the user's own stay.

    Args:
        folder: folder of a run or a sweep.
        written: the files of this report; those outside of the folder are not listed.

    Returns:
        The files that were removed.

    Raises:
        RunError: the index is damaged, or a file cannot be removed.
    """
    new = [file.relative_to(folder).as_posix() for file in written if file.is_relative_to(folder)]
    gone = [folder / name for name in _listed(folder) if name not in set(new)]
    removed = [file for file in gone if file.is_file() or file.is_symlink()]
    for file in removed:
        try:
            file.unlink()
        except OSError as error:
            raise cannot(file, "be removed", error) from error
    write_whole(folder / INDEX, json.dumps({"files": new}, indent=2) + "\n")
    return removed


def _listed(folder: Path) -> list[str]:
    """Return the names in the index; none if there is no index."""
    try:
        index = read_json(folder / INDEX)
    except FileNotFoundError:
        return []
    names = index.get("files") if isinstance(index, dict) else None
    if not isinstance(names, list) or len(names) > MOST_FILES or not all(map(_is_name, names)):
        words = "must list files of figures/ and tables/, and report.html; delete the file"
        raise RunRefused(f"{folder / INDEX}: {words}")
    return names


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not _ALLOWED.fullmatch(name):
        return False
    return name == "report.html" if "/" not in name else name.rpartition("/")[2] not in (".", "..")
