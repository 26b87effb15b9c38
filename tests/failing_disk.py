"""A simulated disk that fails at a chosen call, among those that write a ledger or a run folder.

Python's calls are replaced in ``os`` and ``io``. SQLite's calls are replaced through the interface
for tests of its Unix layer. Syncing takes no time here, and SQLite's syncs never fail.
"""

from __future__ import annotations

import _sqlite3
import builtins
import ctypes
import errno
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

NEEDING_ROOM = ("open", "write", "mkdir", "rename")
"""Calls that a full disk refuses; it still syncs, truncates and deletes."""
_OF_OS = {
    "open": "open",
    "mkdir": "mkdir",
    "rename": "rename",
    "replace": "rename",
    "unlink": "unlink",
    "rmdir": "unlink",
    "truncate": "truncate",
    "fsync": "sync",
}
_INT, _LONG, _SIZE = ctypes.c_int, ctypes.c_longlong, ctypes.c_size_t
_WRITE = (ctypes.c_ssize_t, _INT, ctypes.c_void_p, _SIZE)
_OF_SQLITE = {
    "open": (_INT, ctypes.c_char_p, _INT, _INT),
    "write": _WRITE,
    "pwrite": (*_WRITE, _LONG),
    "pwrite64": (*_WRITE, _LONG),
    "ftruncate": (_INT, _INT, _LONG),
    "unlink": (_INT, ctypes.c_char_p),
}
"""Result and arguments of the calls that SQLite lets a test replace."""


class Disk:
    """A simulated disk: it counts the calls that write under a folder, and can fail at one."""

    def __init__(
        self,
        folder: Path,
        at: int = 0,
        how: str = "full",
        image: Callable[[], None] | None = None,
    ) -> None:
        """Make a disk that is used while it is ``mounted``.

        Args:
            folder: the folder on the disk; writes elsewhere are let through.
            at: number of the call that fails, counted from 1; with 0 no call fails.
            how: ``full``: this call and all later ones that need room fail (ENOSPC); ``half``:
                the same, but the call first writes half of its bytes; ``error``: this call alone
                fails (EIO).
            image: called before every call, and in the middle of every write: the folder then
                holds what a SIGKILL at this moment would leave.
        """
        self._folder, self._at, self._how, self._image = str(folder), at, how, image
        self._lock, self._looking = threading.RLock(), False
        self.calls: list[tuple[str, str]] = []
        """Every call so far: its kind, and the name of the file."""

    @property
    def hit(self) -> bool:
        """Say whether the failing call was reached."""
        return 0 < self._at <= len(self.calls)

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Send all writes of this process through this disk."""
        with ExitStack() as stack:
            stack.enter_context(_calls_of_python(self))
            stack.enter_context(_calls_of_sqlite(self))
            yield

    def has(self, path: object) -> bool:
        """Say whether a file is on this disk."""
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._folder)

    def do(self, what: str, path: str, act: Callable[[], Any]) -> Any:
        """Call ``act`` and return its result, or fail with an OSError."""
        return self.write(what, path, 1, lambda _start, _stop: act())

    def write(self, what: str, path: str, size: int, act: Callable[[int, int], Any]) -> Any:
        """Write ``size`` bytes by ``act(start, stop)``, perhaps in halves, or raise an OSError."""
        with self._lock:
            if self._looking or not self.has(path):
                return act(0, size)
            self.calls.append((what, Path(path).name))
            self._look()
            code = self._code(what)
            half = size // 2 if self._image or self._how == "half" else 0
            if code is not None:
                if half and self._how == "half":
                    act(0, half)
                raise OSError(code, os.strerror(code), path)
            if not (self._image and half):
                return act(0, size)
            act(0, half)
            self._look()
            return half + act(half, size)

    def _code(self, what: str) -> int | None:
        now = len(self.calls)
        if self._how == "error":
            return errno.EIO if now == self._at else None
        return errno.ENOSPC if 0 < self._at <= now and what in NEEDING_ROOM else None

    def _look(self) -> None:
        if self._image:
            self._looking = True
            try:
                self._image()
            finally:
                self._looking = False


class _File(io.FileIO):
    """A file whose writes go through a disk."""

    disk: Disk

    def write(self, data: Any, /) -> int:
        whole, write = memoryview(data).cast("B"), super().write
        return self.disk.write("write", self.name, len(whole), lambda a, b: write(whole[a:b]))


def _named(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _opening(path: str) -> str:
    return "reopen" if Path(path).exists() else "open"


@contextmanager
def _calls_of_python(disk: Disk) -> Iterator[None]:
    opened = io.open

    def open_(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if not disk.has(file) or not set(mode) & set("wax+"):
            return opened(file, mode, buffering, *rest, **named)
        path, plain = os.fspath(file), mode.replace("b", "")
        raw = disk.do(_opening(path), path, lambda: _File(path, plain))
        raw.disk = disk
        if not buffering:
            return raw
        buffered = io.BufferedWriter(raw, buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)

    with ExitStack() as stack:
        for module in (io, builtins):
            stack.enter_context(mock.patch.object(module, "open", open_))
        for name, what in _OF_OS.items():
            stack.enter_context(mock.patch.object(os, name, _through(disk, name, what)))
        yield


def _through(disk: Disk, name: str, what: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(path: Any, *rest: Any, **named: Any) -> Any:
        if name == "open" and not rest[0] & os.O_CREAT:
            return real(path, *rest, **named)
        if isinstance(path, int):
            return disk.do(what, _named(path), lambda: None)  # waiting for a disk takes its time
        where, folder = os.fspath(path), named.get("dir_fd")
        where = where if folder is None else f"{_named(folder)}/{where}"
        met = _opening(where) if name == "open" else what
        return disk.do(met, where, lambda: real(path, *rest, **named))

    return call


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs`` of sqlite3.h, up to the calls that tests may replace."""

    _fields_ = (
        *((name, _INT) for name in ("version", "file_bytes", "longest_path")),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("methods", ctypes.c_void_p * 13),
        ("set", ctypes.CFUNCTYPE(_INT, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
        ("get", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)),
    )


@contextmanager
def _calls_of_sqlite(disk: Disk) -> Iterator[None]:
    verdict_cache = ctypes.CDLL(_sqlite3.__file__)  # finds what this module is linked with
    verdict_cache.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    pointer = verdict_cache.sqlite3_vfs_find(None)
    vfs, kept = pointer.contents, []
    for name, kinds in _OF_SQLITE.items():
        address = vfs.get(pointer, name.encode())
        if address:
            kind = ctypes.CFUNCTYPE(*kinds, use_errno=True)
            kept.append((name, kind(_of_sqlite(disk, name, kind(address)))))
    try:
        for name, replaced in kept:
            vfs.set(pointer, name.encode(), ctypes.cast(replaced, ctypes.c_void_p))
        yield
    finally:
        for name, _ in kept:
            vfs.set(pointer, name.encode(), None)  # None: what it was at first


def _of_sqlite(disk: Disk, name: str, real: Callable[..., int]) -> Callable[..., int]:
    def call(first: Any, *rest: int) -> int:
        path = _named(first) if isinstance(first, int) else first.decode()

        def act(start: int, stop: int) -> int:
            if "write" not in name:
                return real(first, *rest)
            place = [rest[2] + start] if len(rest) > 2 else []
            return real(first, rest[0] + start, stop - start, *place)

        if name == "open" and not rest[0] & os.O_CREAT:
            return act(0, 1)
        size = rest[1] if "write" in name else 1
        what = {"ftruncate": "truncate", "open": _opening(path), "unlink": "unlink"}
        try:
            return disk.write(what.get(name, "write"), path, size, act)
        except OSError as error:
            ctypes.set_errno(error.errno)
            return -1

    return call


def here() -> bool:
    """Say whether this system can tell the name of an open file."""
    return Path("/proc/self/fd").is_dir()


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """Make a temporary folder in memory, where syncing takes no time, else in ``otherwise``."""
    shared = Path("/dev/shm")
    place = shared if os.access(shared, os.W_OK) else otherwise
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)
