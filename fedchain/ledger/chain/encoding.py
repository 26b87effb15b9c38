"""Canonical encoding: writes each value as exactly one byte string, and reads it again.

``RecordCoder`` encodes a dataclass; the annotation of each field (``height: U64``) says how the
field is written.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Generic, NamedTuple, SupportsIndex, TypeVar, get_type_hints

from fedchain.errors import EncodingError
from fedchain.ledger.chain.crypto import HASH

Piece = bytes | memoryview
"""A part of an encoding."""

_Value = TypeVar("_Value")
_NAN = bytes.fromhex("7ff8000000000000")


def unsigned(value: SupportsIndex, size: int) -> bytes:
    """Encode a whole number of at least 0 as ``size`` bytes, big-endian.

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
    """Encode a float64 as 8 bytes (IEEE 754, big-endian); every NaN has the same bytes.

    >>> real(1.0).hex()
    '3ff0000000000000'
    """
    return _NAN if math.isnan(value) else struct.pack(">d", value)


def fixed(data: bytes, size: int) -> bytes:
    """Return the data unchanged if they are exactly ``size`` bytes.

    Raises:
        EncodingError: the data are not bytes, or have another length.
    """
    if not isinstance(data, bytes) or len(data) != size:
        got = len(data) if isinstance(data, bytes) else type(data).__name__
        raise EncodingError(f"bytes: got {got}; must be {size} bytes")
    return data


def blob(data: bytes) -> bytes:
    """Encode bytes of any length: their length as 4 bytes, then the bytes.

    >>> blob(b"ab").hex()
    '000000026162'
    """
    return unsigned(len(data), 4) + data


def text(value: str) -> bytes:
    """Encode a text: the length of its UTF-8 as 4 bytes, then the UTF-8.

    Raises:
        EncodingError: the text has half of a surrogate pair.
    """
    try:
        return blob(value.encode())
    except UnicodeEncodeError as error:
        raise EncodingError(f"text: {value!r} cannot be written as UTF-8") from error


class Reader:
    """Reads canonical bytes from front to back.

    All reading methods raise an EncodingError if too few bytes are left.

    >>> Reader(bytes.fromhex("0102")).unsigned(1)
    1
    """

    def __init__(self, data: bytes, position: int = 0, stop: int | None = None) -> None:
        self.data = data
        self.position = position
        self.stop = len(data) if stop is None else stop

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        return self.data[self._advance(size) : self.position]

    def view(self, size: int) -> memoryview:
        """Return the next ``size`` bytes without a copy."""
        return memoryview(self.data)[self._advance(size) : self.position]

    def inner(self, limit: int) -> Reader:
        """Read a 4-byte length, and return a reader of that number of bytes.

        Raises:
            EncodingError: the length is above the limit, or above the number of bytes left.
        """
        size = self.unsigned(4)
        if size > limit:
            raise EncodingError(f"length: {size} at {self.position - 4}; at most {limit}")
        return Reader(self.data, self._advance(size), self.position)

    def unsigned(self, size: int) -> int:
        """Read a whole number of at least 0 from ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def real(self) -> float:
        """Read a float64 from 8 bytes."""
        return float(struct.unpack(">d", self.take(8))[0])

    def blob(self, limit: int) -> bytes:
        """Read a 4-byte length of at most ``limit``, and return that number of bytes."""
        inner = self.inner(limit)
        return inner.take(inner.stop - inner.position)

    def text(self, limit: int) -> str:
        """Read a text of at most ``limit`` bytes of UTF-8."""
        try:
            return self.blob(limit).decode()
        except UnicodeDecodeError as error:
            raise EncodingError(f"text: is not UTF-8 at {self.position}") from error

    def end(self) -> None:
        """Raise an EncodingError if bytes are left over."""
        if self.position != self.stop:
            left = self.stop - self.position
            raise EncodingError(f"bytes: {left} left over at the end; none are allowed")

    def _advance(self, size: int) -> int:
        """Move past the next ``size`` bytes, and return the position of the first byte."""
        start, left = self.position, self.stop - self.position
        if size > left:
            raise EncodingError(f"bytes: {left} left at {start}; {size} are needed")
        self.position = start + size
        return start


class Coder(NamedTuple):
    """Two functions that encode and decode the values of one type."""

    write: Callable[[Any], bytes]
    """Function that returns the bytes of a value, or raises an EncodingError."""
    read: Callable[[Reader], Any]
    """Function that reads a value from a reader, or raises an EncodingError."""


def whole_coder(size: int) -> Coder:
    """Return the coder of whole numbers of at least 0, encoded as ``size`` bytes."""
    return Coder(lambda value: unsigned(value, size), lambda reader: reader.unsigned(size))


def bytes_coder(size: int) -> Coder:
    """Return the coder of byte strings of exactly ``size`` bytes."""
    return Coder(lambda value: fixed(value, size), lambda reader: reader.take(size))


def text_coder(limit: int) -> Coder:
    """Return the coder of texts; reading refuses a text of more than ``limit`` bytes of UTF-8."""
    return Coder(text, lambda reader: reader.text(limit))


U16 = Annotated[int, whole_coder(2)]
"""A whole number of at least 0, encoded as 2 bytes."""
U32 = Annotated[int, whole_coder(4)]
"""A whole number of at least 0, encoded as 4 bytes."""
U64 = Annotated[int, whole_coder(8)]
"""A whole number of at least 0, encoded as 8 bytes."""
F64 = Annotated[float, Coder(real, Reader.real)]
"""A float64, encoded as 8 bytes."""
Digest = Annotated[bytes, bytes_coder(HASH)]
"""A hash or a public key, 32 bytes."""


class RecordCoder(Generic[_Value]):
    """Encodes and decodes records of a dataclass whose fields are annotated with coders."""

    def __init__(self, record: type[_Value], *names: str, tag: bytes = b"", what: str = "") -> None:
        """Collect the coders of the fields.

        Args:
            record: the dataclass.
            names: names of the fields to write, in this order; all fields if no name is given.
            tag: bytes written before the fields.
            what: name of the record in error texts.
        """
        self._record, self._tag, self._what = record, tag, what
        hints = get_type_hints(record, include_extras=True)
        written = names or [field.name for field in fields(record)]  # type: ignore[arg-type]
        self._coders: dict[str, Coder | RecordCoder[Any]] = {
            name: hints[name].__metadata__[0] for name in written
        }

    def write(self, record: _Value) -> bytes:
        """Return the bytes of a record.

        Raises:
            EncodingError: the value of a field cannot be encoded.
        """
        written = [coder.write(getattr(record, name)) for name, coder in self._coders.items()]
        return self._tag + b"".join(written)

    def read(self, reader: Reader) -> _Value:
        """Read a record; the coder must have all fields of the dataclass."""
        return self._record(**self.read_fields(reader))

    def read_fields(self, reader: Reader) -> dict[str, Any]:
        """Read the tag and the fields of a record; return the values of the fields by name.

        Raises:
            EncodingError: the tag is wrong, or a field cannot be decoded.
        """
        if (tag := reader.take(len(self._tag))) != self._tag:
            raise EncodingError(f"{self._what}: tag is {tag!r}; must be {self._tag!r}")
        return {name: coder.read(reader) for name, coder in self._coders.items()}

    def decode(self, data: bytes) -> _Value:
        """Decode a record from its canonical bytes.

        Raises:
            EncodingError: the bytes are not the canonical encoding of any record.
        """
        return decoded(data, self.read, self.write)


def decoded(
    data: bytes, read: Callable[[Reader], _Value], encode: Callable[[_Value], bytes]
) -> _Value:
    """Decode a value from its canonical bytes.

    Args:
        data: the canonical bytes.
        read: function that reads a value from a reader.
        encode: function that returns the canonical bytes of a value.

    Raises:
        EncodingError: the bytes are not the canonical encoding of any value.
    """
    reader = Reader(data)
    value = read(reader)
    reader.end()
    if encode(value) != data:
        raise EncodingError("bytes: are not the canonical encoding of their value")
    return value


class cached_field(Generic[_Value]):  # noqa: N801 - a decorator, like property
    """A property that is computed at its first use and then kept in the record.

    Two threads may compute the value at the same time.
    """

    # ``functools.cached_property`` of Python 3.11 holds one lock for all records of a class while
    # it computes, so that two threads would hash their messages one after the other.

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, record: Any, owner: type) -> _Value:
        value = vars(record)[self._name] = self._compute(record)
        return value
