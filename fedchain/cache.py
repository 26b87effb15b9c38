"""Cache: files in one folder that save fedchain from repeating long computations.

Deleting a file of the cache never changes a result.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fedchain.errors import DataError
from fedchain.system import replacing

BOUND = 10**9
"""Maximum total size of the cache in bytes, unless FEDCHAIN_CACHE_BYTES is set."""
LEAST = 4096
"""Bytes of a disk page; a file on the disk occupies whole pages."""
ABANDONED_S = 3600.0
"""Age in seconds at which an unfinished file counts as left behind by a killed process."""
TAG = "CACHEDIR.TAG"
"""Name of the file that marks the folder as fedchain's cache; backup programs skip a marked folder
(Ford, Cache Directory Tagging Specification)."""
TAG_TEXT = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is the cache of fedchain.\n"


@dataclass(frozen=True)
class FileKind:
    """One kind of cached file."""

    pattern: str
    """Regular expression that matches the whole name of a file of this kind."""
    what: str
    """Description for the user: what the files hold, and how to make them again."""
    goes: bool = True
    """Whether files of this kind may be deleted to make room."""


SCANS, AGREED, KNOWN, RATES = "simulated-scans", "agreed", "known-runs", "rates"
UNFINISHED = "unfinished"
_NAMES = (
    rf"{SCANS}-[0-9a-f]{{32}}\.npz",
    rf"{AGREED}-[0-9a-f]{{32}}\.txt",
    rf"{KNOWN}-[0-9a-f]{{32}}\.txt",
    rf"{RATES}-\d{{1,9}}\.json",
)
_DRAFTED = "|".join([*_NAMES, rf"{SCANS}-[0-9a-f]{{32}}", re.escape(TAG)])
FILE_KINDS: Mapping[str, FileKind] = {
    SCANS: FileKind(_NAMES[0], "simulated scans; the next run that needs them makes them again"),
    AGREED: FileKind(_NAMES[1], "agreements of the privacy accountants; a second each to repeat"),
    KNOWN: FileKind(
        _NAMES[2], "names of the runs of checked scenarios; to check one takes a second or two"
    ),
    RATES: FileKind(
        _NAMES[3],
        "rates of this machine; measured again only by: fedchain doctor --calibrate",
        goes=False,
    ),
    UNFINISHED: FileKind(
        rf"\.(?:{_DRAFTED})[.-][\w-]{{1,60}}(?:\.draft)?",
        "left by processes that were killed; they go after an hour",
    ),
}
"""Every kind by name, in the order in which they are shown. Files of no kind are never deleted."""


@dataclass(frozen=True)
class Entry:
    """One file of the cache."""

    path: Path
    """Path of the file."""
    kind: str
    """Kind of the file, a key of ``FILE_KINDS``."""
    bytes: int
    """Size of the file in bytes."""
    used_s: float
    """Modification time of the file, set at each use, in seconds since 1970."""

    @property
    def room(self) -> int:
        """Space on the disk: the file's size in bytes, rounded up to whole disk pages."""
        return max(1, -(-self.bytes // LEAST)) * LEAST


def cache_folder() -> Path:
    """Return the cache's folder: FEDCHAIN_CACHE, or ``fedchain`` in the user's folder of caches."""
    chosen = os.environ.get("FEDCHAIN_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "fedchain"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/fedchain"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fedchain"


def bound() -> int:
    """Return the maximum total size of the cache in bytes: FEDCHAIN_CACHE_BYTES, by default 1 GB.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    text = os.environ.get("FEDCHAIN_CACHE_BYTES")
    if not text:
        return BOUND
    with contextlib.suppress(ValueError, OverflowError):
        if (number := int(float(text))) >= 0:
            return number
    words = f"is {text!r}; must be a number of bytes of at least 0, such as 2e9"
    raise DataError(f"FEDCHAIN_CACHE_BYTES: {words}")


def place_of(kind: str, text: str, ending: str) -> Path:
    """Return the path of a cached file, whether the file exists or not.

    Args:
        kind: a key of ``FILE_KINDS``.
        text: everything that the file's content depends on; its hash becomes part of the name.
        ending: the file's suffix, without the dot.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    bound()  # a wrong variable is reported before anything long is computed
    return cache_folder() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.{ending}"


def mark_used(path: Path) -> None:
    """Set a file's time of last use to now; do nothing if the file does not exist."""
    with contextlib.suppress(OSError):
        if not path.is_symlink():  # the target of a link is not ours
            os.utime(path)


def try_add(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Add a file as ``add`` does; on failure, log a warning, at most one for each folder.

    Returns:
        Whether the file was added.
    """
    try:
        add(path, write)
    except OSError as error:
        if path.parent not in _warned:
            _warned.add(path.parent)
            reason = error.strerror or error
            logging.getLogger(__name__).warning(
                "%s: not kept, will be made again when it is needed: %s", path, reason
            )
        return False
    return True


_warned: set[Path] = set()
"""Folders for which ``try_add`` has already logged a warning."""


def add(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file completely or not at all, then delete old files until the cache fits its bound.

    Raises:
        OSError: the folder cannot be written, the disk is full, or the file exceeds the bound.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    most, kind = bound(), kind_of(path.name)
    if not _tagged(path.parent) and _stranger(path.parent) is None:
        with replacing(path.with_name(TAG)) as file:
            file.write(TAG_TEXT)
    with replacing(path) as file:
        write(file)
        if file.tell() > most and kind is not None and FILE_KINDS[kind].goes:
            raise OSError(f"{file.tell()} bytes are more than FEDCHAIN_CACHE_BYTES, {most}")
    # Room is made after the renaming: the last of several processes thus sees all new files.
    _make_room(path.parent, most)


def entries(folder: Path) -> list[Entry]:
    """Return the cached files in a folder, the least recently used first.

    Links and files of no kind are left out. A folder that does not exist has no files.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    for each in _names(folder):
        kind = kind_of(each.name)
        with contextlib.suppress(FileNotFoundError):  # another process has just deleted it
            seen = each.stat(follow_symlinks=False)
            if kind is not None and stat.S_ISREG(seen.st_mode):
                found.append(Entry(Path(each.path), kind, seen.st_size, seen.st_mtime))
    return sorted(found, key=lambda entry: (entry.used_s, entry.path.name))


def kind_of(name: str) -> str | None:
    """Return the kind of the file with this name, or None if the name is not fedchain's.

    >>> kind_of("rates-1.json"), kind_of("rates-1.json.old"), kind_of("thesis.txt")
    ('rates', None, None)
    """
    return next((kind for kind in FILE_KINDS if re.fullmatch(FILE_KINDS[kind].pattern, name)), None)


def size_words(count: int) -> str:
    """Return a number of bytes as text with a unit.

    >>> size_words(0), size_words(41_600_000), size_words(10**9)
    ('0 B', '41.6 MB', '1 GB')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} B"


def clear_cache(kind: str | None = None) -> tuple[list[Entry], dict[Path, str]]:
    """Delete fedchain's files in the cache's folder, except files that a process is still writing.

    Args:
        kind: the kind of the files to delete, a key of ``FILE_KINDS``, or None for all kinds.

    Returns:
        The deleted files, and the reason why a file could not be deleted, by the path of the file.

    Raises:
        DataError: the folder is not a cache of fedchain, or cannot be read.
    """
    folder, removed, failed = cache_folder(), list[Entry](), dict[Path, str]()
    try:
        stranger = None if _tagged(folder) else _stranger(folder)
        there = entries(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    if stranger is not None:
        raise DataError(
            f"{folder}: is no cache of fedchain, since it has {stranger!r}; nothing was deleted: "
            "let FEDCHAIN_CACHE name a folder of its own"
        )
    for entry in there:
        if kind in (None, entry.kind) and not _being_written(entry):
            try:
                entry.path.unlink(missing_ok=True)
                removed.append(entry)
            except OSError as error:
                failed[entry.path] = error.strerror or str(error)
    return removed, failed


def _make_room(folder: Path, most: int) -> None:
    """Delete abandoned files, then the least recently used files until the bound is met."""
    there = entries(folder)
    taken = sum(entry.room for entry in there)
    for entry in there:
        goes = entry.kind == UNFINISHED or (taken > most and FILE_KINDS[entry.kind].goes)
        if goes and not _being_written(entry):
            with contextlib.suppress(OSError):
                entry.path.unlink(missing_ok=True)
                taken -= entry.room


def _being_written(entry: Entry) -> bool:
    return entry.kind == UNFINISHED and time.time() - entry.used_s < ABANDONED_S


def _names(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _tagged(folder: Path) -> bool:
    """Return whether a folder has fedchain's ``TAG`` file."""
    try:
        with (folder / TAG).open("rb") as file:
            return file.read(len(TAG_TEXT)) == TAG_TEXT
    except OSError:
        return False


def _stranger(folder: Path) -> str | None:
    """Return the name of a file in the folder that is not fedchain's, or None."""
    return next((each.name for each in _names(folder) if kind_of(each.name) is None), None)
