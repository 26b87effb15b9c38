"""Write-ahead log: reads a database and its log into memory, without writing to the disk.

Source: SQLite, Database File Format, section 4 (The Write-Ahead Log).
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import BinaryIO

from fedchain.errors import LedgerError
from fedchain.files import open_to_read, read_bytes

MOST_IN_MEMORY = 2**28
"""Most bytes of a database with a log, which are read into memory."""
MOST_READINGS = 20
"""Most attempts to read a database while another process restarts the log."""
_HEADER, _FRAME = 32, 24
"""Number of bytes of the log's header, and of the header before each page."""
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the words in checksums, by the number at the start of the log."""
_VERSION = 3007000
_MASK = 2**32 - 1
_Sums = tuple[int, int]


def read_with_log(path: Path, log: Path) -> bytearray:
    """Return the bytes of a database with all finished transactions of its log.

    Another process may write to the database at the same time.

    Raises:
        OSError: a file cannot be read, or is too large.
        LedgerError: database and log together are too large, or another process began the log
            anew during every attempt to read it.
    """
    # Pages that the other process copies into the database meanwhile are in the log too, unless
    # the log begins anew.
    for _ in range(MOST_READINGS):
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(open_to_read(log))
            except FileNotFoundError:  # another process has just closed the database
                return _without_log(bytearray(read_bytes(path, MOST_IN_MEMORY)))
            header = file.read(_HEADER)
            data = bytearray(read_bytes(path, MOST_IN_MEMORY))
            size, pages, count = _committed(file, header)
            file.seek(0)
            if file.read(_HEADER) == header:
                break
    else:
        raise LedgerError("database: changes faster than it can be read; try again")
    if count * size > MOST_IN_MEMORY:
        raise LedgerError(f"database: its log makes it larger than {MOST_IN_MEMORY} bytes")
    if count:
        data[count * size :] = bytes(max(0, count * size - len(data)))
    for number, page in pages.items():
        if number <= count:
            data[(number - 1) * size : number * size] = page
    return _without_log(data)


def _without_log(data: bytearray) -> bytearray:
    """Mark a database in memory as one without a log."""
    data[18:20] = b"\1\1"
    return data


def _committed(file: BinaryIO, header: bytes) -> tuple[int, dict[int, bytes], int]:
    """Return the page size in bytes, the newest pages by page number, and the number of pages.

    Pages of an unfinished transaction are left out.
    """
    pages: dict[int, bytes] = {}
    fresh: dict[int, bytes] = {}
    count = 0
    if len(header) < _HEADER:
        return 0, pages, count
    magic, version, size = struct.unpack(">III", header[:12])
    order, sums = _ORDERS.get(magic, ""), struct.unpack(">II", header[24:])
    if not order or version != _VERSION or not 512 <= size <= 65536 or size & (size - 1):
        return 0, pages, count
    if _added(order, header[:24], (0, 0)) != sums:
        return 0, pages, count
    while len(frame := file.read(_FRAME + size)) == _FRAME + size:
        number, after = struct.unpack(">II", frame[:8])
        sums = _added(order, frame[_FRAME:], _added(order, frame[:8], sums))
        if frame[8:16] != header[16:24] or struct.unpack(">II", frame[16:24]) != sums:
            break
        fresh[number] = frame[_FRAME:]
        if (len(pages) + len(fresh)) * size > MOST_IN_MEMORY:
            raise LedgerError(f"database: its log has more than {MOST_IN_MEMORY} bytes of pages")
        if after:  # the last page of a transaction
            pages, fresh, count = pages | fresh, {}, after
    return size, pages, count


def _added(order: str, data: bytes, sums: _Sums) -> _Sums:
    """Return the log's two checksums ``sums``, updated with a multiple of 8 bytes of data."""
    first, second = sums
    for even, odd in struct.iter_unpack(f"{order}II", data):
        first = first + even + second & _MASK
        second = second + odd + first & _MASK
    return first, second
