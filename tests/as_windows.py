"""Behaviour of files on Windows, for tests on other systems: the same operations are refused."""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import multiprocessing.process
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from fedchain import system

_NO_NAME = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE
)
"""Matches a name that no file can have on Windows."""


@contextmanager
def as_windows(monkeypatch: pytest.MonkeyPatch, patience_s: float = 0.2) -> Iterator[None]:
    """Make files, memory and other processes behave for this process as they do on Windows.

    - A folder cannot be opened. A file that is open for reading only cannot be synced.
    - A file that this process has open cannot be replaced, moved or deleted. A folder that holds
      an open file cannot be moved. Databases that SQLite has opened count as open files.
    - Nothing is moved onto an existing path, except that a file may replace a closed file.
    - Names of devices and names with a colon are refused.
    - There is no module ``resource`` and no ``os.sysconf``. Terminating a process kills it.
    """
    with monkeypatch.context() as patch:
        patch.setattr(system, "WINDOWS", True, raising=False)
        patch.setattr(system, "PATIENCE_WITH_FILES_S", patience_s, raising=False)
        for module in (io, builtins):
            patch.setattr(module, "open", _named(io.open))
        patch.setattr(os, "open", _open(os.open))
        patch.setattr(os, "mkdir", _named(os.mkdir))
        patch.setattr(os, "fsync", _fsync(os.fsync))
        patch.setattr(os, "rename", _rename(os.rename))
        patch.setattr(os, "replace", _replace(os.replace))
        for name in ("unlink", "remove"):
            patch.setattr(os, name, _unlink(getattr(os, name)))
        patch.setattr(shutil, "_use_fd_functions", False)  # Windows opens no folder
        patch.setitem(sys.modules, "resource", None)
        patch.delattr(os, "sysconf")
        peak = SimpleNamespace(peak_wset=300_000_000)
        patch.setattr(psutil.Process, "memory_info", lambda _: peak)
        process = multiprocessing.process.BaseProcess
        patch.setattr(process, "terminate", process.kill)
        yield


def _refused(path: object, code: int = errno.EACCES) -> OSError:
    return OSError(code, os.strerror(code), str(path))


def _of_a_lock() -> bool:
    """Say whether filelock is the caller: it has its own code for Windows."""
    frame = sys._getframe(2)
    return "filelock" in f"{frame.f_code.co_filename}{frame.f_back and frame.f_back.f_code}"


def _is_open(path: object) -> bool:
    """Say whether this process has the file open, or a file in the folder."""
    place = Path(os.fsdecode(path)).resolve()  # type: ignore[arg-type]
    there = [Path(file.path) for file in psutil.Process().open_files()]
    return any(place == file or place in file.parents for file in there)


def _named(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(path, int) and _NO_NAME.search(Path(os.fsdecode(path)).name):
            raise _refused(path, errno.EINVAL)
        return real(path, *rest, **named)

    return call


def _open(real: Callable[..., int]) -> Callable[..., int]:
    def call(path: Any, *rest: Any, **named: Any) -> int:
        if not _of_a_lock() and Path(os.fsdecode(path)).is_dir():
            raise _refused(path)
        return real(path, *rest, **named)

    return call


def _fsync(real: Callable[[int], None]) -> Callable[[int], None]:
    def call(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise _refused(descriptor, errno.EBADF)
        real(descriptor)

    return call


def _rename(real: Callable[..., None]) -> Callable[..., None]:
    def call(source: Any, target: Any, **named: Any) -> None:
        if _of_a_lock():
            return real(source, target, **named)
        if _NO_NAME.search(Path(target).name):
            raise _refused(target, errno.EINVAL)
        if Path(target).exists():
            raise _refused(target, errno.EEXIST)
        if _is_open(source):
            raise _refused(source)
        return real(source, target, **named)

    return call


def _replace(real: Callable[..., None]) -> Callable[..., None]:
    def call(source: Any, target: Any, **named: Any) -> None:
        if not _of_a_lock() and (_is_open(source) or _is_open(target) or Path(target).is_dir()):
            raise _refused(target)
        return real(source, target, **named)

    return call


def _unlink(real: Callable[..., None]) -> Callable[..., None]:
    def call(path: Any, **named: Any) -> None:
        if not _of_a_lock() and _is_open(path):
            raise _refused(path)
        return real(path, **named)

    return call
