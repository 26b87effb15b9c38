"""Operating systems: the operations that differ between them (files, locks, stopping, memory).

Windows refuses what other systems allow: it does not open a folder, sync a file that was opened
for reading, replace or delete a file that somebody has open, or move a folder in which a file is
open. It also has no signal by which one process asks another to stop. Code that needs one of
these operations calls this module, and need not know on which system it runs.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
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
"""Whether this is Windows."""
PATIENCE_WITH_FILES_S = 2.0
"""Seconds for which an operation is repeated on Windows if another program has the file open."""
MOST_PROCESSES = 61
"""Most processes that one process can wait for on Windows."""
NO_FILE = "is a link, a pipe or a device"
"""What is said of a name under which a file is expected."""
_CAREFUL = ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY")
"""Flags with which a file is opened, as far as the system has them."""
_NAMES_ANOTHER = 0x2000_0000
"""Bit of a reparse tag of Windows that links and junctions have, and files in a cloud have not."""
_Result = TypeVar("_Result")


def sync_file(path: Path) -> None:
    """Make the bytes of a file survive a loss of power; raise OSError if that fails."""
    _sync_path(path, os.O_RDWR)  # Windows does not sync a file opened for reading


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a loss of power; on Windows do nothing."""
    if not WINDOWS:  # it does not open folders, and NTFS keeps a journal of names itself
        _sync_path(path, os.O_RDONLY)


def _sync_path(path: Path, access: int) -> None:
    descriptor = os.open(path, access)
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def sync_open(descriptor: int) -> None:
    """Make the bytes of an open file, or the names in an open folder, survive a loss of power."""
    if sys.platform == "darwin":
        import fcntl

        # On macOS fsync leaves the bytes in the drive's memory. Network shares know only fsync.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def open_file(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Open a file, and return its descriptor; follow no link, and wait for no pipe.

    Args:
        path: the file. Only its last name is checked; the folders above it may be links.
        flags: as in ``os.open``.

    Raises:
        OSError: the file cannot be opened, or it is a link, a pipe, a device or a folder.
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
    """Return whether ``os.lstat`` has seen a link, or a junction of Windows."""
    return stat.S_ISLNK(seen.st_mode) or bool(getattr(seen, "st_reparse_tag", 0) & _NAMES_ANOTHER)


def is_plain(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry of a folder is a file or a folder: no link, pipe, socket or device.

    Raises:
        OSError: the system does not tell.
    """
    if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
        return False
    return not (WINDOWS and is_link(entry.stat(follow_symlinks=False)))


def foreign_owner(path: Path) -> str | None:
    """Return the name of the user who owns a file or folder; None if it is this process's user.

    Windows is not asked: there the answer is always None.

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
    """Return the bytes of a file that are on the disk: a file with holes has fewer than its size.

    Windows does not tell; there the size is returned.
    """
    return min(seen.st_size, 512 * getattr(seen, "st_blocks", seen.st_size))


def patiently(act: Callable[[], _Result]) -> _Result:
    """Call ``act`` on a file; on Windows, call it again while another program has the file open.

    Readers, virus scanners and indexers keep a file open only for a moment. On other systems,
    readers do not block other programs, and a refusal is final.

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
    """Rename ``draft`` to ``path`` atomically; a file that is already there is replaced."""
    patiently(lambda: draft.replace(path))


def delete(path: Path) -> None:
    """Delete a file if it exists; raise OSError if the system refuses."""
    patiently(lambda: path.unlink(missing_ok=True))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write; when the context ends, it replaces the file at ``path``.

    A reader sees the old file or the new one, never half of one. After an error or Ctrl-C only
    the old file is there.

    Raises:
        OSError: the disk is full or the folder may not be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "name") as file:
    ...         _ = file.write(b"bytes")
    ...     (Path(folder) / "name").read_bytes()
    b'bytes'
    """
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
    """Return whether the system refuses to move a folder in which a file is open: on Windows."""
    return WINDOWS


def move_folder(folder: Path, path: Path) -> None:
    """Sync the names in a folder, then rename the folder; its files must be synced and closed.

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
    """Make a hidden folder beside a path, for files that will be moved to the path.

    When the context ends, the folder is deleted.

    Raises:
        OSError: the parent folder may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Only this user may read a folder of ``tempfile``; on Windows this holds after a move too.
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def stop() -> None:
    """Interrupt the main thread from another thread, with the same effect as SIGTERM.

    On Windows one process cannot send SIGTERM to another. A main thread that waits for a lock is
    interrupted once it has the lock. If the program has no handler for SIGTERM, nothing happens.
    """
    _thread.interrupt_main(signal.SIGTERM)


def at_most_processes(wanted: int) -> int:
    """Return ``wanted``, limited to the number of processes that one process can wait for.

    Windows allows at most ``MOST_PROCESSES``.

    >>> at_most_processes(2)
    2
    """
    return min(wanted, MOST_PROCESSES) if WINDOWS else wanted


def peak_memory() -> int:
    """Return the most memory that this process has held so far, in bytes.

    >>> peak_memory() > 10_000_000
    True
    """
    if WINDOWS:
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
