"""Operating systems: the operations that differ between them (files, locks, stopping, memory).

Windows refuses what other systems allow: it does not open a folder, sync a file that was opened
for reading, replace or delete a file that somebody has open, or move a folder in which a file is
open. It also has no signal by which one process asks another to stop. Code that needs one of
these operations calls this module, and need not know on which system it runs.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import secrets
import shutil
import signal
import sys
import threading
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
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.draft")
    try:
        with draft.open("wb") as file:
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
