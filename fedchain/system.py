"""Operating systems: the operations that differ between them (files, locks, stopping, memory).

Windows refuses to open a folder, to replace or delete an open file, and to move a folder that has
an open file.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import glob
import os
import secrets
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

WINDOWS = os.name == "nt"
"""Whether the operating system is Windows."""
PATIENCE_WITH_FILES_S = 2.0
"""Seconds for which ``patiently`` repeats an operation on Windows."""
MOST_PROCESSES = 61
"""Maximum number of processes that one process can wait for on Windows."""
NO_FILE = "is a link, a pipe or a device"
"""Error text for a path that should be a file."""
_CAREFUL = ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY")
"""Flags with which a file is opened, where the system has them."""
_NAMES_ANOTHER = 0x2000_0000
"""Bit of Windows reparse tags that is set for links and junctions, not for cloud files."""
_Result = TypeVar("_Result")


def sync_file(path: Path) -> None:
    """Make the bytes of a file survive a power failure; raise OSError if that fails."""
    _sync_path(path, os.O_RDWR)  # Windows does not sync a file opened for reading


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure; on Windows do nothing."""
    if not WINDOWS:  # it does not open folders, and NTFS keeps a journal of names itself
        _sync_path(path, os.O_RDONLY)


def _sync_path(path: Path, access: int) -> None:
    descriptor = os.open(path, access)
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def sync_open(descriptor: int) -> None:
    """Make an open file's bytes, or an open folder's names, survive a power failure."""
    if sys.platform == "darwin":
        import fcntl

        # On macOS fsync leaves the bytes in the drive's memory. Network shares know only fsync.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def open_file(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Open a file and return its descriptor, without following a link or waiting for a pipe.

    The folders above the file may be links. ``flags`` are those of ``os.open``.

    Raises:
        OSError: the file cannot be opened, or the path is a link, a pipe, a device or a folder.
    """
    for name in _CAREFUL:
        flags |= getattr(os, name, 0)
    if WINDOWS and os.path.lexists(path) and is_link(os.lstat(path)):
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    try:
        descriptor = patiently(lambda: os.open(path, flags, 0o666))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            raise OSError(errno.EINVAL, NO_FILE, str(path)) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, NO_FILE, str(path))


def is_link(seen: os.stat_result) -> bool:
    """Return whether the result of ``os.lstat`` describes a link or a Windows junction."""
    return stat.S_ISLNK(seen.st_mode) or bool(getattr(seen, "st_reparse_tag", 0) & _NAMES_ANOTHER)


def is_plain(entry: os.DirEntry[str]) -> bool:
    """Return whether a folder's entry is a file or folder, not a link, pipe, socket or device.

    Raises:
        OSError: the system does not tell the type of the entry.
    """
    if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
        return False
    return not (WINDOWS and is_link(entry.stat(follow_symlinks=False)))


def foreign_owner(path: Path) -> str | None:
    """Return the name of the user who owns a path; None if this process's user owns it.

    On Windows the result is always None.

    Raises:
        OSError: the path does not exist.
    """
    if sys.platform == "win32":
        return None
    owner = path.stat().st_uid
    if owner == os.geteuid():
        return None
    import pwd

    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"


def occupied(seen: os.stat_result) -> int:
    """Return how many bytes a file occupies on the disk: fewer than its size if it has holes.

    On Windows the size is returned.
    """
    return min(seen.st_size, 512 * getattr(seen, "st_blocks", seen.st_size))


def patiently(act: Callable[[], _Result]) -> _Result:
    """Return the result of ``act``; on Windows, repeat ``act`` while another program uses its file.

    Raises:
        OSError: ``act`` fails; on Windows a PermissionError is raised only after
            ``PATIENCE_WITH_FILES_S``.

    >>> patiently(lambda: "done")
    'done'
    """
    last = time.monotonic() + PATIENCE_WITH_FILES_S
    while True:
        try:
            return act()
        except PermissionError:
            if not WINDOWS or time.monotonic() > last:
                raise
        time.sleep(0.01)


def replace(draft: Path, path: Path) -> None:
    """Rename ``draft`` to ``path`` atomically, replacing any file at ``path``."""
    patiently(lambda: draft.replace(path))


def delete(path: Path) -> None:
    """Delete a file if it exists; raise OSError if the system refuses."""
    patiently(lambda: path.unlink(missing_ok=True))


def delete_drafts(path: Path) -> None:
    """Delete what ``replacing`` leaves beside a file if its process is killed; errors pass."""
    drafts = path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.draft")
    with contextlib.suppress(OSError):
        for draft in drafts:
            delete(draft)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write, which replaces the file at ``path`` when the context ends.

    Readers see the whole old file or the whole new file. After an error the old file remains.

    Raises:
        OSError: the disk is full or the folder may not be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "name") as file:
    ...         _ = file.write(b"bytes")
    ...     (Path(folder) / "name").read_bytes()
    b'bytes'
    """
    # Nobody can guess the random name and put a link there.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            sync_open(file.fileno())
        replace(draft, path)
    finally:
        with contextlib.suppress(OSError):
            delete(draft)
    with contextlib.suppress(OSError):  # the renaming has succeeded, so an error would be untrue
        sync_folder(path.parent)


def open_files_hold_folders() -> bool:
    """Return whether the system refuses to move a folder that has an open file, as Windows does."""
    return WINDOWS


def move_folder(folder: Path, path: Path) -> None:
    """Make the names in a folder survive a power failure, then rename the folder to ``path``.

    The caller must sync and close the files in the folder first.

    Raises:
        OSError: ``path`` exists already, or the disk fails; on Windows, another program has a file
            in the folder open.
    """
    for each, _, _ in os.walk(folder):
        sync_folder(Path(each))
    patiently(lambda: folder.rename(path))
    with contextlib.suppress(OSError):  # the renaming has succeeded, so an error would be untrue
        sync_folder(path.parent)


@contextmanager
def place_beside(path: Path) -> Iterator[Path]:
    """Yield a new hidden folder beside ``path``, and delete the folder when the context ends.

    Raises:
        OSError: the parent folder may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Nobody else could read a folder made by ``tempfile``, on Windows not even after a move.
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def stop() -> None:
    """Interrupt the main thread from another thread, with the same effect as SIGTERM.

    A main thread that waits for a lock is interrupted once it has the lock. Without a handler for
    SIGTERM, nothing happens.
    """
    _thread.interrupt_main(signal.SIGTERM)


def at_most_processes(wanted: int) -> int:
    """Return ``wanted``; on Windows at most ``MOST_PROCESSES``.

    >>> at_most_processes(2)
    2
    """
    return min(wanted, MOST_PROCESSES) if WINDOWS else wanted


def peak_memory() -> int:
    """Return the largest memory use of this process so far, in bytes.

    >>> peak_memory() > 10_000_000
    True
    """
    if WINDOWS:
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
