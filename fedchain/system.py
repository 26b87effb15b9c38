"""What differs between operating systems: files, locks, being stopped, memory.

Windows refuses what other systems allow: to open a folder, to sync a file that was opened for
reading, to replace or delete a file that somebody has open, to move a folder in which a file is
open. It also has no signal by which one process asks another to stop. Whoever needs one of these
calls it here, and need not know on which system.
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

from filelock import FileLock, Timeout

WINDOWS = os.name == "nt"
"""Whether this is Windows."""
PATIENCE_S = 2.0
"""How long Windows is asked again to touch a file that another program has open, seconds."""
MOST_PROCESSES = 61
"""Processes that one process can wait for on Windows."""
_Result = TypeVar("_Result")


def sync_file(path: Path) -> None:
    """Make the bytes of a file survive a loss of power.

    Raises:
        OSError: it cannot be opened for writing, or the disk fails.
    """
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs no file that is open for reading only
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def sync_open(descriptor: int) -> None:
    """Make the bytes of an open file survive a loss of power.

    Args:
        descriptor: of a file that is open for writing, or of a folder.

    Raises:
        OSError: the disk fails.
    """
    if sys.platform == "darwin":
        import fcntl

        # There fsync leaves the bytes in the memory of the drive. A network share knows only fsync.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a loss of power; Windows does so by itself.

    Raises:
        OSError: it cannot be opened, or the disk fails.
    """
    if WINDOWS:  # it opens no folder; NTFS writes names to its journal
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_open(descriptor)
    finally:
        os.close(descriptor)


def patiently(act: Callable[[], _Result]) -> _Result:
    """Do something with a file; on Windows again and again while another program has it open.

    Readers, virus scanners and indexers have a file open for a moment only. Elsewhere nobody who
    reads a file is in the way, and a refusal is final.

    Args:
        act: may be called several times.

    Raises:
        OSError: as ``act``; PermissionError after ``PATIENCE_S`` at the latest.

    >>> patiently(lambda: "done")
    'done'
    """
    last = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if not WINDOWS or time.monotonic() > last:
                raise
        time.sleep(0.01)


def replace(draft: Path, path: Path) -> None:
    """Give a file the name of another, or a new name, at once.

    Raises:
        OSError: the folder may not be written; on Windows, somebody keeps the other one open.
    """
    patiently(lambda: draft.replace(path))


def delete(path: Path) -> None:
    """Delete a file; one that is gone already does not matter.

    Raises:
        OSError: the folder may not be written; on Windows, somebody keeps it open.
    """
    patiently(lambda: path.unlink(missing_ok=True))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield an empty file that takes the place of another when everything is written and synced.

    A reader sees the old file or the new one, never a half. After an error, or Ctrl-C, the old
    one is there and nothing else.

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
    with contextlib.suppress(OSError):  # it has its name: to say that it failed would be untrue
        sync_folder(path.parent)


def move_folder(folder: Path, path: Path) -> None:
    """Give a folder another name at once; everything in it survives a loss of power before.

    Args:
        folder: its files are synced, and none of them is open.
        path: its new name, which nothing else may have.

    Raises:
        OSError: something has that name, or the disk fails; on Windows, somebody keeps a file in
            the folder open.
    """
    for each, _, _ in os.walk(folder):
        sync_folder(Path(each))
    patiently(lambda: folder.rename(path))
    with contextlib.suppress(OSError):  # it has its name: to say that it failed would be untrue
        sync_folder(path.parent)


@contextmanager
def place_beside(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside a path, for what is moved there; delete it at the end.

    Not with ``tempfile``: what it makes is for this user alone, and on Windows stays so wherever
    it is moved.

    Raises:
        OSError: the folder above may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


class FolderLock:
    """The right to write a folder; it goes with the process that has it, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(folder / ".lock")

    def acquire(self) -> bool:
        """Take the right; return False if another process has it.

        Raises:
            OSError: the folder may not be written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Give the right back; nothing if this process does not have it."""
        self._lock.release()

    def move_folder(self, path: Path) -> None:
        """Move the folder, to which this process has the right, and give the right back.

        Args:
            path: its new name, which nothing else may have.

        Raises:
            OSError: something has that name, or the folder above may not be written; on Windows,
                somebody keeps a file in it open, or has just taken the right.
        """
        try:
            if WINDOWS:  # the file of the lock is open, and Windows itself moves no folder in use
                self.release()
            patiently(lambda: self._folder.rename(path))
        finally:
            self.release()


def stop() -> None:
    """Interrupt the main thread from another one, as SIGTERM does, while it is ``stoppable``.

    A process cannot send that signal to another one on Windows. Where the main thread waits for a
    lock it is interrupted when it has it; where nobody handles the signal nothing happens.
    """
    _thread.interrupt_main(signal.SIGTERM)


def at_most_processes(wanted: int) -> int:
    """Return how many processes one process may wait for at a time: as many as are wanted.

    >>> at_most_processes(2)
    2
    """
    return min(wanted, MOST_PROCESSES) if WINDOWS else wanted


def peak_memory() -> int:
    """Return the most memory that this process has held so far, bytes.

    >>> peak_memory() > 10_000_000
    True
    """
    if WINDOWS:
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory() -> int:
    """Return how much memory a new process could have, bytes.

    More than what is free: the system gives up what it only remembers of files.

    >>> available_memory() > 0
    True
    """
    import psutil

    return int(psutil.virtual_memory().available)
