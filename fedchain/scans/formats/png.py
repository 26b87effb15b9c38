"""PNG pictures of one channel, 8 or 16 bits a pixel."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from fedchain.arrays import Array
from fedchain.scans.formats.contents import Contents

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODES = {8: ("L",), 16: ("I;16", "I;16B")}
"""Pillow's names of grey pictures, by the bits of a pixel."""
_DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, OverflowError, struct.error,
    zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""Errors of Pillow for damaged pictures."""


def read_grey(file: Contents, bits: int) -> Array:
    """Return the pixels of a grey PNG picture, shape (height, width), uint8 or uint16.

    Raises:
        DataError: the file is damaged, no PNG picture, too large, or has other pixels.
    """
    head = file.data[:33]
    if len(head) < 33 or not head.startswith(SIGNATURE) or head[12:16] != b"IHDR":
        raise file.fail("is no PNG picture")
    # The size is checked before anything is unpacked.
    width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
    file.check_grid(width, height)
    if (depth, colour) != (bits, 0):
        raise file.fail(f"has {depth} bits a channel, type {colour}; allowed: {bits} bits, grey")
    try:
        with Image.open(io.BytesIO(file.data), formats=["PNG"]) as picture:
            if picture.mode not in MODES[bits] or picture.size != (width, height):
                raise file.fail(f"is a picture {picture.mode}; allowed: {bits} bits, grey")
            return np.asarray(picture, np.uint8 if bits == 8 else np.uint16)
    except _DAMAGED as error:
        raise file.fail(f"is a damaged picture: {str(error)[:200]}") from error


def grey_bytes(pixels: Array) -> bytes:
    """Return a grey PNG picture of uint8 or uint16 pixels, shape (height, width)."""
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()
