"""Bytes: how numbers, texts and arrays are written, and what an error says.

Numbers are big-endian, lengths have four bytes. Whoever reads bytes checks every length before
anything of that length is made.
"""

import hashlib
import struct

import numpy as np

NAN = bytes.fromhex("7ff8000000000000")
TYPES = {1: "<f4", 2: "<f8", 3: "<i8"}
CODES = {"float32": 1, "float64": 2, "int64": 3}


class Wrong(Exception):
    """The file breaks a rule; the text names the field."""


class UnknownRule(Exception):
    """The chain names an aggregation rule or an update that is not written down here."""


def need(holds, what):
    """Raise Wrong with this text unless something holds."""
    if not holds:
        raise Wrong(what)


def sha(*parts):
    """Return the SHA-256 of all parts one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def short(digest):
    """Return the first digits of a hash, for error texts."""
    return digest.hex()[:8]


class Bytes:
    """Bytes that are read from the front; `what` names them in error texts."""

    def __init__(self, data, what):
        self.data, self.what, self.at = data, what, 0

    def take(self, size):
        return bytes(self.view(size))

    def view(self, size):
        left = len(self.data) - self.at
        need(size <= left, f"{self.what}: ends at byte {len(self.data)}; {size - left} are missing")
        self.at += size
        return memoryview(self.data)[self.at - size : self.at]

    def piece(self, width, most, what):
        size = self.uint(width)
        need(size <= most, f"{self.what}: {what} of {size} bytes; at most {most} are allowed")
        return self.view(size)

    def uint(self, size):
        return int.from_bytes(self.take(size), "big")

    def real(self):
        raw = self.take(8)
        (value,) = struct.unpack(">d", raw)
        need(value == value or raw == NAN, f"{self.what}: a NaN is spelled {raw.hex()}")
        return value

    def text(self, most):
        try:
            return bytes(self.piece(4, most, "a text")).decode()
        except UnicodeDecodeError:
            raise Wrong(f"{self.what}: a text is not UTF-8") from None

    def fields(self, tag, names):
        """Read a record with a tag; `u4` is a whole number of 4 bytes, `b32` are 32 bytes."""
        found = self.take(len(tag))
        need(found == tag, f"{self.what}: tag: is {found!r}; must be {tag!r}")
        kinds = {"u": self.uint, "b": self.take}
        pairs = (field.split(":") for field in names.split())
        return {name: kinds[kind[0]](int(kind[1:])) for name, kind in pairs}

    def end(self):
        left = len(self.data) - self.at
        need(not left, f"{self.what}: goes on for {left} bytes after its end")


def read_weights(data, dimension, dtype):
    """Read the first weights: one array, with its name, type and shape in front."""
    wanted = f"weights: must be one row of {dimension} {dtype}, every NaN with the same bits"
    start = len(data) - dimension * np.dtype(dtype).itemsize
    need(start >= 0, wanted)
    weights = np.frombuffer(data[start:], TYPES[CODES[dtype]])
    need(write_tensors({"weights": weights}) == data, wanted)
    return weights


def write_tensors(tensors):
    """Write named arrays in ascending order of their names; every NaN has the same bits."""
    out = [len(tensors).to_bytes(4, "big")]
    for name, tensor in sorted(tensors.items()):
        if tensor.dtype.kind == "f" and np.isnan(tensor).any():
            tensor = np.where(np.isnan(tensor), tensor.dtype.type(np.nan), tensor)
        code, label = CODES[tensor.dtype.name], name.encode()
        out += [len(label).to_bytes(4, "big"), label, bytes([code, tensor.ndim])]
        out += [size.to_bytes(8, "big") for size in tensor.shape]
        out.append(np.ascontiguousarray(tensor, TYPES[code]).tobytes())
    return b"".join(out)
