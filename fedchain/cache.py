"""What fedchain has computed and would compute again: files in one folder, kept below a bound.

A file is named by its kind and by a hash of all that it depends on, so that nothing in the folder
is ever out of date. Whoever adds a file lets the least recently used ones go until the others
fit. Losing a file costs time and changes no result; neither does a folder that is read-only or
full. The time of the last use is the file's time of modification.
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

LOG = logging.getLogger(__name__)

BOUND = 10**9
"""Bytes that all files may take together, unless FEDCHAIN_CACHE_BYTES says otherwise."""
LEAST = 4096
"""Bytes that the smallest file takes of a disk: many small files fill it too."""
ABANDONED_S = 3600.0
"""Wall time after which nobody writes an unfinished file any more."""
TAG = "CACHEDIR.TAG"
"""Says to programs that make backups that this folder can be left out, and to ``cleared`` whose it
is (Ford, Cache Directory Tagging Specification)."""
TAG_TEXT = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is the cache of fedchain.\n"


@dataclass(frozen=True)
class Kind:
    """One kind of files."""

    pattern: str
    """Regular expression of their whole names; no other file is ever deleted."""
    what: str
    """What they are, and what it costs to make them again, in words."""
    goes: bool = True
    """Whether they go, the least recently used first, when there is no room."""


SCANS, AGREED, RATES, UNFINISHED = "simulated-scans", "agreed", "rates", "unfinished"
_NAMES = {
    SCANS: rf"{SCANS}-[0-9a-f]{{32}}\.npz",
    AGREED: rf"{AGREED}-[0-9a-f]{{32}}\.txt",
    RATES: rf"{RATES}-\d{{1,9}}\.json",
}
_DRAFTED = (*_NAMES.values(), rf"{SCANS}-[0-9a-f]{{32}}", re.escape(TAG))
_DRAFT = rf"\.(?:{'|'.join(_DRAFTED)})[.-][\w-]{{1,60}}(?:\.draft)?"
KINDS: Mapping[str, Kind] = {
    SCANS: Kind(_NAMES[SCANS], "simulated scans; the next run that needs them makes them again"),
    AGREED: Kind(_NAMES[AGREED], "agreements of the privacy accountants; a second each to repeat"),
    RATES: Kind(
        _NAMES[RATES],
        "rates of this machine; measured again only by: fedchain doctor --calibrate",
        goes=False,
    ),
    UNFINISHED: Kind(_DRAFT, "left by processes that were killed; they go after an hour"),
}
"""By name, in the order in which they are shown."""


@dataclass(frozen=True)
class Entry:
    """One file of the cache."""

    path: Path
    """Where it is."""
    kind: str
    """A key of ``KINDS``."""
    bytes: int
    """Its size."""
    used_s: float
    """When it was used last: seconds since 1970."""

    @property
    def room(self) -> int:
        """Bytes that it takes of the bound: full pages of the disk."""
        return max(1, -(-self.bytes // LEAST)) * LEAST


def cache_folder() -> Path:
    """Return the folder: FEDCHAIN_CACHE, or the one that the system has for such files."""
    chosen = os.environ.get("FEDCHAIN_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "fedchain"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/fedchain"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fedchain"


def bound() -> int:
    """Return how many bytes all files may take together: FEDCHAIN_CACHE_BYTES, or 1 GB.

    Raises:
        DataError: the variable is not a number of bytes.
    """
    text = os.environ.get("FEDCHAIN_CACHE_BYTES")
    if not text:
        return BOUND
    try:
        number = int(float(text))
    except (ValueError, OverflowError):
        number = -1
    if number < 0:
        raise DataError(
            f"FEDCHAIN_CACHE_BYTES: is {text!r}; must be a number of bytes of at least 0, "
            "such as 2e9"
        )
    return number


def place_of(kind: str, text: str, ending: str) -> Path:
    """Return the path of the file that depends on a text alone, whether it is there or not.

    Args:
        kind: a key of ``KINDS``.
        text: everything that the content depends on.
        ending: of the file's name, without the dot.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    bound()  # before anything long is computed
    return cache_folder() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.{ending}"


def mark_used(path: Path) -> None:
    """Note that a file is in use, so that others go before it; it may be gone already."""
    with contextlib.suppress(OSError):
        if not path.is_symlink():  # what it leads to is not ours
            os.utime(path)


def keep(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Add a file if it can be added; if not, say so once in the log.

    Args:
        path: as ``place_of`` gives it.
        write: writes the content.

    Returns:
        Whether it was added.
    """
    try:
        add(path, write)
    except OSError as error:
        if path.parent not in _told:
            _told.add(path.parent)
            reason = error.strerror or error
            LOG.warning("%s: not kept, will be made again when it is needed: %s", path, reason)
        return False
    return True


_told: set[Path] = set()
"""Folders of which the log has said that they keep nothing."""


def add(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Add a file, whole or not at all, then make room for it.

    Room is made after the file has its name, so that of several processes the last one sees
    what all of them have added.

    Args:
        path: as ``place_of`` gives it.
        write: writes the content.

    Raises:
        OSError: the folder cannot be written, is full, or the file alone is above the bound.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    most, kind = bound(), kind_of(path.name)
    if not _tagged(path.parent) and _stranger(path.parent) is None:
        with replacing(path.with_name(TAG)) as file:
            file.write(TAG_TEXT)
    with replacing(path) as file:
        write(file)
        if file.tell() > most and kind is not None and KINDS[kind].goes:
            raise OSError(f"{file.tell()} bytes are more than FEDCHAIN_CACHE_BYTES, {most}")
    _make_room(path.parent, most)


def entries(folder: Path) -> list[Entry]:
    """Return the files of a cache, the least recently used first; links are none.

    Raises:
        OSError: the folder cannot be read; one that is not there is empty.
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
    """Return the kind of the file of a name, None if the name is not fedchain's.

    >>> kind_of("rates-1.json"), kind_of("rates-1.json.old"), kind_of("thesis.txt")
    ('rates', None, None)
    """
    return next((kind for kind in KINDS if re.fullmatch(KINDS[kind].pattern, name)), None)


def sized(count: int) -> str:
    """Return a number of bytes in words.

    >>> sized(0), sized(41_600_000), sized(10**9)
    ('0 B', '41.6 MB', '1 GB')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} B"


@dataclass(frozen=True)
class Cleared:
    """What ``cleared`` did."""

    removed: tuple[Entry, ...]
    """Files that are gone."""
    failed: Mapping[Path, str]
    """Files that could not be deleted, and why."""


def cleared(kind: str | None = None) -> Cleared:
    """Delete the files of the cache, and nothing else that may be in its folder.

    Args:
        kind: only those of this kind, a key of ``KINDS``; None: all. Unfinished files that
            somebody may still be writing stay.

    Raises:
        DataError: the folder is no cache of fedchain, or cannot be read.
    """
    folder, removed, failed = cache_folder(), [], {}
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
    return Cleared(tuple(removed), failed)


def _make_room(folder: Path, most: int) -> None:
    """Delete the least recently used files until the others fit, and abandoned ones.

    A file that another process reads or has deleted meanwhile is passed over: it is counted as
    gone, and whoever adds the next file looks again.
    """
    there = entries(folder)
    taken = sum(entry.room for entry in there)
    for entry in there:
        unfinished = entry.kind == UNFINISHED
        if (taken > most and KINDS[entry.kind].goes) or unfinished:
            if _being_written(entry):
                continue
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
    """Say whether fedchain's tag is in a folder."""
    try:
        with (folder / TAG).open("rb") as file:
            return file.read(len(TAG_TEXT)) == TAG_TEXT
    except OSError:
        return False


def _stranger(folder: Path) -> str | None:
    """Return a name in a folder that is not fedchain's, None if there is none."""
    return next((each.name for each in _names(folder) if kind_of(each.name) is None), None)
