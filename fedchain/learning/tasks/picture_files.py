"""Picture files: reads the pictures in a folder for each class, or in an NPZ file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from fedchain.arrays import Array
from fedchain.errors import DataError

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS = ("PNG", "JPEG", "BMP")
"""Pillow's names of the formats that are read."""
MOST_PIXELS, MOST_NUMBERS = 2**26, 2**30
"""Most pixels of one picture, and most numbers in all pictures together."""


def pictures_in(path: Path) -> list[Path]:
    """Return the NPZ file, or the pictures in the folders of the classes, in alphabetical order.

    Raises:
        DataError: there are none.
    """
    if path.is_file():
        return [path]
    found = sorted(file for file in path.glob("*/*") if file.suffix.lower() in PICTURE_ENDINGS)
    if not found:
        words = f"{path}: has no picture; allowed: an .npz file, or a folder with a folder for each"
        raise DataError(f"{words} class, of {', '.join(PICTURE_ENDINGS)} files")
    return found


def read_pictures(path: Path, size: int, *, colour: bool) -> tuple[Array, Array]:
    """Return all pictures, uint8 of shape (pictures, channels, size, size), and their classes.

    Pictures of another size are scaled. There is one channel, or three with ``colour``.

    Raises:
        DataError: there are no pictures, or one is damaged or too large.
    """
    files = pictures_in(path)
    if files == [path]:
        pictures, names = _read_npz(path)
        return _scaled_arrays(path, pictures, size, colour=colour), names
    channels = 3 if colour else 1
    if len(files) * channels * size * size > MOST_NUMBERS:
        raise DataError(f"{path}: {len(files)} pictures are too many; allowed: smaller ones")
    pictures = np.empty((len(files), channels, size, size), np.uint8)
    for row, file in zip(pictures, files, strict=True):
        row[:] = read_picture(file, size, colour=colour)
    return pictures, np.array([file.parent.name for file in files])


def read_picture(file: Path, size: int, *, colour: bool) -> Array:
    """Return a picture, uint8 of shape (channels, size, size), as ``read_pictures`` does.

    Raises:
        DataError: it is damaged or too large.
    """
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                words = f"{file}: has {picture.width} x {picture.height} pixels"
                raise DataError(f"{words}; allowed: at most {MOST_PIXELS} pixels")
            return _scaled(picture, size, colour=colour)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: is no picture that can be read: {error}") from error


def _scaled(picture: Image.Image, size: int, *, colour: bool) -> Array:
    """Return a picture as an array (channels, size, size)."""
    plain = picture.convert("RGB" if colour else "L")
    if plain.size != (size, size):
        plain = plain.resize((size, size), Image.Resampling.BOX)
    return np.atleast_3d(np.asarray(plain, np.uint8)).transpose(2, 0, 1)


def _read_npz(path: Path) -> tuple[Array, Array]:
    """Return the array of pictures and the array of classes."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > 8 * MOST_NUMBERS:
            raise DataError(f"{path}: unpacks to {size} bytes; allowed: {8 * MOST_NUMBERS}")
        with np.load(path, allow_pickle=False) as arrays:
            found = [arrays[name] for name in arrays.files]
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is no NPZ file of plain arrays: {error}") from error
    pictures = [array for array in found if array.ndim in (3, 4)]
    names = [array for array in found if array.ndim == 1]
    if len(pictures) != 1 or len(names) != 1 or len(pictures[0]) != len(names[0]):
        shapes = ", ".join(str(array.shape) for array in found)
        words = f"{path}: has arrays of the shapes {shapes}; allowed: one of pictures, (n, height,"
        raise DataError(f"{words} width) or (n, height, width, 3), and one of n classes")
    if pictures[0].dtype != np.uint8:
        words = f"{path}: has pictures of {pictures[0].dtype}"
        raise DataError(f"{words}; allowed: uint8, from 0 to 255")
    return pictures[0], names[0]


def _scaled_arrays(path: Path, pictures: Array, size: int, *, colour: bool) -> Array:
    if pictures.ndim == 4 and pictures.shape[3] not in (1, 3):
        words = f"{path}: has pictures of shape {pictures.shape[1:]}"
        raise DataError(f"{words}; allowed: (height, width), or 1 or 3 channels as a third axis")
    rows = (picture[..., 0] if picture.shape[2:] == (1,) else picture for picture in pictures)
    return np.stack([_scaled(Image.fromarray(row), size, colour=colour) for row in rows])
