"""Bytes: how numbers, texts and arrays are written, and what an error says.

Numbers are big-endian, lengths have four bytes. Whoever reads bytes checks every length before
anything of that length is made.
"""

import hashlib
import math
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
    return hashlib.sha256(b"".join(parts)).digest()


def short(digest):
    """Return the first digits of a hash, for error texts."""
    return digest.hex()[:8]


class Bytes:
    """Bytes that are read from the front; `what` names them in error texts."""

    def __init__(self, data, what):
        self.data, self.what, self.at = data, what, 0

    def take(self, size):
        left = len(self.data) - self.at
        need(size <= left, f"{self.what}: ends at byte {len(self.data)}; {size - left} are missing")
        self.at += size
        return self.data[self.at - size : self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "big")

    def real(self):
        raw = self.take(8)
        (value,) = struct.unpack(">d", raw)
        need(value == value or raw == NAN, f"{self.what}: a NaN is spelled {raw.hex()}")
        return value

    def text(self, most):
        size = self.uint(4)
        need(size <= most, f"{self.what}: a text of {size} bytes; at most {most} are allowed")
        try:
            return self.take(size).decode()
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


def read_tensors(data, what):
    """Read named arrays: the weights, or the memory of rule and update."""
    read, tensors, before = Bytes(data, what), {}, ""
    count = read.uint(4)
    need(count <= 64, f"{what}: {count} arrays; at most 64 are allowed")
    for _ in range(count):
        name, code, axes = read.text(128), read.uint(1), read.uint(1)
        need(name > before or not tensors, f"{what}: {name!r} stands after {before!r}")
        need(code in TYPES and axes <= 8, f"{what}: {name!r} has type {code} and {axes} axes")
        shape = [read.uint(8) for _ in range(axes)]
        need(max(shape, default=0) < 2**31, f"{what}: {name!r} has the shape {shape}")
        raw = read.take(math.prod(shape) * np.dtype(TYPES[code]).itemsize)
        tensors[name] = np.frombuffer(raw, TYPES[code]).reshape(shape)
        before = name
    read.end()
    need(write_tensors(tensors) == data, f"{what}: a NaN has other bits than every NaN")
    return tensors


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
