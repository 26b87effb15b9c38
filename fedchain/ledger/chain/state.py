"""State: the model's weights and the update's memory after a block, and their encoding."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fedchain.arrays import Vector, read_only
from fedchain.errors import EncodingError
from fedchain.ledger.chain.encoding import Piece, Reader, cached_field, decoded, text, unsigned

Tensor = npt.NDArray[Any]

_CODES = {"<f4": 1, "<f8": 2, "<i8": 3}
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}
_MOST_TENSORS = 64
_MOST_AXES = 8
_LONGEST_NAME = 128


@dataclass(frozen=True, eq=False)
class State:
    """The weights and the update's memory after a block."""

    weights: Vector
    """All weights as one vector, shape (weights,), float64 or float32, read-only."""
    memory: Mapping[str, Tensor]
    """Read-only arrays that the update needs for the next block, by name (for example momentum).
    Names that begin with ``rule/`` belong to the aggregation rule."""

    def __post_init__(self) -> None:
        read_only(self.weights)
        memory = {name: read_only(np.asarray(tensor)) for name, tensor in self.memory.items()}
        object.__setattr__(self, "memory", MappingProxyType(memory))

    @cached_field
    def weights_hash(self) -> bytes:
        """SHA-256 of the canonical bytes of the weights, 32 bytes.

        >>> one = State(np.ones(3), {})
        >>> one.weights_hash == State(np.nextafter(np.ones(3), 2.0), {}).weights_hash
        False
        """
        return _hash_of(weights_parts(self))

    @cached_field
    def memory_hash(self) -> bytes:
        """SHA-256 of the canonical bytes of the memory, 32 bytes."""
        return _hash_of(tensor_parts(self.memory))


def weights_parts(state: State) -> list[Piece]:
    """Return the canonical bytes of the weights in parts."""
    return tensor_parts({"weights": state.weights})


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Encode arrays sorted by name: the name, dtype, shape and little-endian entries of each.

    Every NaN is written with the same bits.

    Raises:
        EncodingError: there are more than 64 arrays; an array is not float32, float64 or int64; or
            an array has more than 8 axes or a name of more than 128 bytes.

    >>> encode_tensors({"b": np.zeros(1), "a": np.ones(())})[:9].hex()
    '000000020000000161'
    """
    return b"".join(tensor_parts(tensors))


def tensor_parts(tensors: Mapping[str, Tensor]) -> list[Piece]:
    """Return the output of ``encode_tensors`` in parts; the errors are the same."""
    if len(tensors) > _MOST_TENSORS:
        raise EncodingError(f"tensors: got {len(tensors)}; at most {_MOST_TENSORS}")
    parts: list[Piece] = [unsigned(len(tensors), 4)]
    for name in sorted(tensors):
        parts += _tensor_parts(name, tensors[name])
    return parts


def decode_tensors(data: bytes) -> dict[str, Tensor]:
    """Decode named arrays, which are read-only.

    Raises:
        EncodingError: the bytes are not the canonical encoding of any arrays.
    """
    return decoded(data, _read_tensors, encode_tensors)


def _hash_of(parts: list[Piece]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _tensor_parts(name: str, tensor: Tensor) -> tuple[bytes, memoryview]:
    code = _CODES.get(tensor.dtype.newbyteorder("<").str)
    if code is None or tensor.ndim > _MOST_AXES or len(name.encode()) > _LONGEST_NAME:
        raise EncodingError(
            f"tensor {name[:40]!r}: {tensor.dtype} with {tensor.ndim} axes; must be float32, "
            f"float64 or int64 with at most {_MOST_AXES} axes and {_LONGEST_NAME} bytes of name"
        )
    if tensor.dtype.kind == "f":  # the bits of a computed NaN depend on the processor
        unclear = np.isnan(tensor)
        tensor = (
            np.where(unclear, np.nan, tensor).astype(tensor.dtype, copy=False)
            if unclear.any()
            else tensor
        )
    shape = b"".join(unsigned(size, 8) for size in tensor.shape)
    body = np.ascontiguousarray(tensor, _DTYPES[code]).reshape(-1).view(np.uint8).data
    return text(name) + unsigned(code, 1) + unsigned(tensor.ndim, 1) + shape, body


def _read_tensors(reader: Reader) -> dict[str, Tensor]:
    count = reader.unsigned(4)
    if count > _MOST_TENSORS:
        raise EncodingError(f"tensors: got {count}; at most {_MOST_TENSORS}")
    return dict(_read_tensor(reader) for _ in range(count))


def _read_tensor(reader: Reader) -> tuple[str, Tensor]:
    name, code, axes = reader.text(_LONGEST_NAME), reader.unsigned(1), reader.unsigned(1)
    if code not in _DTYPES or axes > _MOST_AXES:
        raise EncodingError(f"tensor {name!r}: dtype code {code} with {axes} axes")
    shape = tuple(reader.unsigned(8) for _ in range(axes))
    body = reader.take(math.prod(shape) * _DTYPES[code].itemsize)
    if 0 in shape and max(shape) >= 2**31:
        raise EncodingError(f"tensor {name!r}: shape {shape}; every axis below {2**31}")
    return name, np.frombuffer(body, _DTYPES[code]).reshape(shape)
