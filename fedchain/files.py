"""Files: opens, checks, reads and writes the files of a run folder.

A run folder may come from a stranger, so links are not followed and file sizes are limited.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from fedchain.errors import RunRefused, cannot
from fedchain.names import SHOWN
from fedchain.system import foreign_owner, is_plain, open_file, replacing

LARGEST = 2**23
"""Maximum bytes of a file that is read as a whole; parsed JSON takes up to 50 times the memory."""
MOST_COPIED = 2**32
"""Largest total size, in bytes, of the files in one call of ``copy_files``."""
SETTLED_S = 2.0
"""Age, in seconds, from which a file's times tell its content from a later one. Two changes that
follow each other within a tick of the file system's clock leave the same times."""
ALLOWED = "in a run folder only files and folders are allowed"


def check_folder(folder: Path, *, own: bool = False) -> None:
    """Raise RunRefused if anything in a folder, at any depth, is neither a file nor a folder.

    The folder itself may be a link. A folder that does not exist passes. RunRefused is also raised
    if ``folder`` is a file or cannot be read, and with ``own`` if it belongs to another user.
    """
    left = [os.fspath(folder)]
    try:
        if own and folder.exists() and (owner := foreign_owner(folder)) is not None:
            words = f"belongs to {owner}, who may change it meanwhile; work on a copy"
            raise RunRefused(f"{folder}: {words}")
        while left:
            with contextlib.suppress(FileNotFoundError), os.scandir(left.pop()) as entries:
                for entry in entries:
                    if not is_plain(entry):
                        raise RunRefused(f"{entry.path}: is a link, a pipe or a device; {ALLOWED}")
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    except NotADirectoryError as error:
        ways = "fedchain verify FILE checks a chain file, fedchain import FILE unpacks it"
        raise RunRefused(f"{folder}: is a file, not a run's folder; {ways}") from error
    except OSError as error:
        raise cannot(folder, "be read", error) from error


def check_unshared(paths: Iterable[Path]) -> None:
    """Raise RunRefused if a file has a second name (a hard link); missing files pass."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_nlink > 1:
                words = "has a second name, under which it would be changed too"
                raise RunRefused(
                    f"{path}: {words}; make a copy of the folder, and work on the copy"
                )


def open_to_read(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        OSError: the file cannot be read, or is a link, a pipe or a device.
    """
    return open(path, "rb", opener=open_file)


def open_to_append(path: Path) -> FileIO:
    """Open a file to append bytes without a buffer; create the file if it does not exist.

    Raises:
        OSError: the file cannot be written, or is a link, a pipe or a device.
    """
    return open(path, "ab", buffering=0, opener=open_file)


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """Return the bytes of a file that has at most ``most`` bytes.

    Raises:
        OSError: the file cannot be read, is too large, or is a link, a pipe or a device.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
    if max(size, len(data)) > most:
        raise OSError(errno.EINVAL, f"has {size} bytes; at most {most} are allowed", str(path))
    return data


def read_utf8(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        FileNotFoundError: there is no such file.
        RunRefused: the file cannot be read, is too large, not UTF-8, a link, a pipe or a device.
    """
    try:
        return read_bytes(path).decode()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except ValueError as error:
        raise RunRefused(f"{path}: cannot be read: {error}") from error


def read_json(path: Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        RunRefused: the file cannot be read, or is not JSON or nested too deeply.
    """
    text = read_utf8(path)
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # fails for half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise RunRefused(f"{path}: cannot be read: {error}") from error
    return value


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal digits.

    A process hashes a file again only if its size or one of its times has changed.

    Raises:
        OSError: the file cannot be read.
    """
    seen = path.stat()
    if time.time() - max(seen.st_mtime, seen.st_ctime) < SETTLED_S:
        return _hash_of(path)
    return _settled_hash(path, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


@functools.lru_cache(maxsize=65_536)
def _settled_hash(path: Path, *_: int) -> str:
    return _hash_of(path)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: str | bytes | Iterable[str | bytes]) -> None:
    """Write a file so that a reader sees the whole old file or the whole new file.

    Missing folders are made. ``content`` is the whole content, or an iterable of its parts.

    Raises:
        RunRefused: the file or its folder may not be written.
        RunError: the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.writelines(_encoded(content))
    except OSError as error:
        raise cannot(path, "be written", error) from error


def write_output(path: Path, content: str | bytes | Iterable[str | bytes]) -> None:
    """Write a file that the user has named, as ``write_whole`` does; it may be a device or a pipe.

    Raises:
        RunRefused: the file or its folder may not be written.
        RunError: the disk is full.
    """
    if path.is_file() or path.is_dir() or not path.exists():
        write_whole(path, content)
        return
    try:
        with path.open("wb") as file:  # nothing may replace a device: /dev/null
            file.writelines(_encoded(content))
    except OSError as error:
        raise cannot(path, "be written", error) from error


def copy_files(copies: Mapping[Path, Path]) -> None:
    """Copy each file (key) to a new path (value), and make missing folders.

    Raises:
        OSError: the files have more than ``MOST_COPIED`` bytes or cannot be read, or a new path
            exists or cannot be written.
    """
    total = sum(file.lstat().st_size for file in copies)
    if total > MOST_COPIED:
        words = f"a copy of {total} bytes; at most {MOST_COPIED} are copied"
        raise OSError(errno.EINVAL, words)
    for file, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_to_read(file) as source, copy.open("xb") as target:
            shutil.copyfileobj(source, target)


def _encoded(content: str | bytes | Iterable[str | bytes]) -> Iterable[bytes]:
    parts = [content] if isinstance(content, str | bytes) else content
    return (part.encode("utf-8", SHOWN) if isinstance(part, str) else part for part in parts)
