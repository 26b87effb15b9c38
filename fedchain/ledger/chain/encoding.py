"""Canonical encoding: each value has one byte string, and each byte string at most one value.

Numbers are big-endian with a fixed width. Data of variable length come after their length. A
decoder checks bounds as it reads, then encodes the value again and compares: ``decoded`` refuses
bytes that are not the encoding of their own value, so that one value never has two hashes.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from typing import Any, Generic, SupportsIndex, TypeVar

from fedchain.errors import EncodingError

Value = TypeVar("Value")
Part = bytes | memoryview
"""A piece of an encoding; large arrays are not copied."""

_NAN = bytes.fromhex("7ff8000000000000")


def unsigned(value: SupportsIndex, size: int) -> bytes:
    """Encode a whole number of at least 0 on ``size`` bytes, big-endian.

    Raises:
        EncodingError: the number is negative or too large.

    >>> unsigned(258, 4).hex()
    '00000102'
    """
    try:
        return operator.index(value).to_bytes(size, "big")
    except (OverflowError, TypeError) as error:
        limit = 256**size - 1
        raise EncodingError(
            f"number: cannot write {value!r} on {size} bytes; 0 to {limit}"
        ) from error


def real(value: float) -> bytes:
    """Encode a float64 as IEEE 754, big-endian; every NaN has the same bytes.

    >>> real(1.0).hex()
    '3ff0000000000000'
    """
    return _NAN if math.isnan(value) else struct.pack(">d", value)


def fixed(data: bytes, size: int) -> bytes:
    """Encode bytes of a fixed length, such as hashes, keys and signatures: return them as they are.

    Raises:
        EncodingError: there are not exactly ``size`` of them, or they are not bytes.
    """
    if not isinstance(data, bytes) or len(data) != size:
        got = len(data) if isinstance(data, bytes) else type(data).__name__
        raise EncodingError(f"bytes: got {got}; must be {size} bytes")
    return data


def blob(data: bytes) -> bytes:
    """Encode bytes of any length: their length on 4 bytes, then the bytes.

    >>> blob(b"ab").hex()
    '000000026162'
    """
    return unsigned(len(data), 4) + data


def text(value: str) -> bytes:
    """Encode a text: the length of its UTF-8 on 4 bytes, then the UTF-8.

    Raises:
        EncodingError: the text has no UTF-8, because it has half of a surrogate pair.
    """
    try:
        return blob(value.encode())
    except UnicodeEncodeError as error:
        raise EncodingError(f"text: {value!r} cannot be written as UTF-8") from error


class Reader:
    """Reads canonical bytes from front to back, and never beyond their end.

    >>> Reader(bytes.fromhex("0102")).unsigned(1)
    1
    """

    def __init__(self, data: bytes, position: int = 0, stop: int | None = None) -> None:
        self.data = data
        self.position = position
        self.stop = len(data) if stop is None else stop

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            EncodingError: fewer bytes are left.
        """
        return self.data[self._advance(size) : self.position]

    def view(self, size: int) -> memoryview:
        """Return the next ``size`` bytes without a copy, for large data.

        Raises:
            EncodingError: fewer bytes are left.
        """
        return memoryview(self.data)[self._advance(size) : self.position]

    def inner(self, limit: int) -> Reader:
        """Read a length on 4 bytes, and return a reader of the bytes after it.

        Args:
            limit: most bytes that are allowed.

        Raises:
            EncodingError: the length is above the limit, or above what is left.
        """
        size = self.unsigned(4)
        if size > limit:
            raise EncodingError(f"length: {size} at {self.position - 4}; at most {limit}")
        return Reader(self.data, self._advance(size), self.position)

    def unsigned(self, size: int) -> int:
        """Read a whole number of at least 0 on ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def real(self) -> float:
        """Read a float64."""
        return float(struct.unpack(">d", self.take(8))[0])

    def blob(self, limit: int) -> bytes:
        """Read a length on 4 bytes, and return the bytes after it.

        Args:
            limit: most bytes that are allowed.

        Raises:
            EncodingError: the length is above the limit, or above what is left.
        """
        inner = self.inner(limit)
        return inner.take(inner.stop - inner.position)

    def text(self, limit: int) -> str:
        """Read a text of at most ``limit`` bytes of UTF-8."""
        try:
            return self.blob(limit).decode()
        except UnicodeDecodeError as error:
            raise EncodingError(f"text: is not UTF-8 at {self.position}") from error

    def end(self) -> None:
        """Check that no bytes are left.

        Raises:
            EncodingError: bytes are left over.
        """
        if self.position != self.stop:
            left = self.stop - self.position
            raise EncodingError(f"bytes: {left} left over at the end; none are allowed")

    def _advance(self, size: int) -> int:
        """Move past the next ``size`` bytes, and return the position where they begin."""
        start, left = self.position, self.stop - self.position
        if size > left:
            raise EncodingError(f"bytes: {left} left at {start}; {size} are needed")
        self.position = start + size
        return start


def decoded(
    data: bytes, read: Callable[[Reader], Value], encode: Callable[[Value], bytes]
) -> Value:
    """Decode bytes and check that they are the canonical encoding of the value.

    Args:
        data: bytes from outside.
        read: reads the value from a Reader.
        encode: encodes the value.

    Returns:
        The value.

    Raises:
        EncodingError: the bytes are too few or too many, or are not the canonical encoding.
    """
    reader = Reader(data)
    value = read(reader)
    reader.end()
    if encode(value) != data:
        raise EncodingError("bytes: are not the canonical encoding of their value")
    return value


class cached_field(Generic[Value]):  # noqa: N801 - a decorator, like property
    """A property that is computed at its first use, and kept in the record.

    ``functools.cached_property`` of Python 3.11 holds one lock for all records of a class while
    it computes, so that two threads would hash their messages one after the other. Here there is
    no lock: two threads may compute the value of one record twice, and get the same value.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type) -> Value:
        value = vars(record)[self._name] = self._compute(record)
        return value
