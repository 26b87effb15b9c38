"""LZF: the compression of PCD's ``binary_compressed``.

A stream is a row of instructions. A byte below 32 is followed by that many literal bytes and one
more. Any other byte is a copy of bytes that were already written: its upper three bits are the
length less 2 (7 means that one more byte follows, which is added), its lower five bits and the next
byte are the distance less 1.

Reference:
    Marc Lehmann, LibLZF.
"""

from __future__ import annotations


def unpack_lzf(data: bytes, size: int) -> bytes:
    """Return the ``size`` bytes that an LZF stream stands for.

    Memory never holds more than ``size`` bytes of output and a copy of them.

    Raises:
        ValueError: the stream is damaged, or stands for another number of bytes.

    >>> unpack_lzf(bytes([0, 97, 0xE0, 0, 0]), 10)
    b'aaaaaaaaaa'
    """
    out, at, end = bytearray(), 0, len(data)
    try:
        while at < end and len(out) < size:
            code = data[at]
            at += 1
            if code < 32:
                out += data[at : at + code + 1]
                at += code + 1
                continue
            length = code >> 5
            if length == 7:
                length += data[at]
                at += 1
            distance = ((code & 31) << 8) + data[at] + 1
            at += 1
            _copy(out, distance, length + 2)
    except IndexError:
        at = end + 1
    if at != end or len(out) != size:
        raise ValueError(f"the packed bytes do not stand for {size}")
    return bytes(out)


def _copy(out: bytearray, distance: int, length: int) -> None:
    """Append ``length`` bytes that begin ``distance`` bytes before the end; they may overlap."""
    if distance > len(out):
        raise ValueError(f"a copy begins {distance} bytes back, after {len(out)} bytes")
    start = len(out) - distance
    if distance >= length:
        out += out[start : start + length]
    else:
        part = bytes(out[start:])
        out += (part * (length // distance + 1))[:length]
