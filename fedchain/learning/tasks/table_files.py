"""Table files: reads the columns of CSV, Parquet and NPZ files of the user."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from fedchain.arrays import Array
from fedchain.errors import DataError, MissingExtra

MOST_BYTES, MOST_NUMBERS = 2**33, 2**28
"""Largest size of a file when it is unpacked, and most values in all columns together."""
SEPARATORS = ",;\t|"
"""Characters that may stand between the values of a line; the most frequent one of the first line
is taken."""
Columns = dict[str, Array]
"""Arrays by the name of the column, each of shape (records,): float64, or text."""


def read_columns(path: Path) -> Columns:
    """Return the columns of a table, in their order.

    A column of numbers is float64, any other is text. In a CSV file, the first line has the names,
    unless all its values are numbers; then the columns are called ``1``, ``2`` and so on. In an
    NPZ file, an array (records,) is a column, and an array (records, k) gives k columns, ``name_0``
    to ``name_(k - 1)``.

    Raises:
        DataError: the file is missing, damaged or too large, or its columns differ in length.
        MissingExtra: the file is Parquet, and pyarrow is not installed.
    """
    read = TABLE_READERS.get(path.suffix.lower())
    if read is None:
        allowed = ", ".join(TABLE_READERS)
        raise DataError(f"{path}: ends with {path.suffix or 'no ending'}; allowed: {allowed}")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{path}: has {size} bytes; allowed: at most {MOST_BYTES}")
        columns = read(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    lengths = {len(column) for column in columns.values()}
    if not columns or lengths == {0}:
        raise DataError(f"{path}: must have a column and a record")
    if len(lengths) > 1:
        raise DataError(f"{path}: its arrays have {sorted(lengths)} records; all must have as many")
    return columns


def _read_csv(path: Path) -> Columns:
    rows = _lines_of(path)
    _, first = next(rows, (0, []))
    if not first:
        raise DataError(f"{path}: is empty; allowed: a table with a line for each record")
    named = not all(map(_is_number, first))
    names = first if named else [str(number) for number in range(1, len(first) + 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}:1: names the column {twice!r} twice; each name once")
    values: list[list[str]] = [[] for _ in names]
    for number, row in rows if named else _after(first, rows):
        if len(row) != len(names):
            words = f"{path}:{number}: has {len(row)} values; allowed: {len(names)}, as in line 1"
            raise DataError(words)
        if number * len(names) > MOST_NUMBERS:
            raise DataError(f"{path}: is too large; allowed: at most {MOST_NUMBERS} values")
        for column, value in zip(values, row, strict=True):
            column.append(value.strip())
    pairs = zip(names, values, strict=True)
    return {name: _column(path, name, column, 1 + named) for name, column in pairs}


def _lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each line that is not empty."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            head = file.readline()
            separator = max(SEPARATORS, key=head.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=separator, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, [value.strip() for value in row]
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: is no table of text in UTF-8: {error}") from error


def _after(
    first: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield 1, first
    yield from rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(path: Path, name: str, values: list[str], first: int) -> Array:
    """Return a column as numbers if all its values are numbers, else as text."""
    if "" in values:
        place = f"{path}:{values.index('') + first}: column {name}"
        raise DataError(f"{place}: is empty; fill it, or leave out the record")
    try:
        return np.array(values, dtype=np.float64)
    except ValueError:
        return np.array(values)


def _read_parquet(path: Path) -> Columns:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        text = f"{path}: needs pyarrow; install it with: pip install 'fedchain[parquet]'"
        raise MissingExtra(text) from error
    try:
        with parquet.ParquetFile(path) as file:
            said = file.metadata
            if said.num_rows * said.num_columns > MOST_NUMBERS:
                raise DataError(f"{path}: is too large; allowed: at most {MOST_NUMBERS} values")
            table = file.read()
    except (ArrowException, ValueError) as error:
        raise DataError(f"{path}: is no Parquet file: {' '.join(str(error).split())}") from error
    return {name: _arrow_column(path, name, table[name]) for name in table.column_names}


def _arrow_column(path: Path, name: str, column: Any) -> Array:
    if column.null_count:
        place = column.is_null().index(True).as_py()
        words = f"column {name}: record {place} is empty; fill it, or leave out the record"
        raise DataError(f"{path}: {words}")
    return _plain(path, name, np.asarray(column.to_pylist()))


def _read_npz(path: Path) -> Columns:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > min(MOST_BYTES, 8 * MOST_NUMBERS):
            raise DataError(f"{path}: unpacks to {size} bytes; allowed: at most {MOST_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path}: is no NPZ file of plain arrays: {error}") from error
    columns: Columns = {}
    for name, array in found.items():
        if array.ndim == 1:
            columns[name] = _plain(path, name, array)
        elif array.ndim == 2:
            parts = ((f"{name}_{k}", array[:, k]) for k in range(array.shape[1]))
            columns |= {part: _plain(path, part, values) for part, values in parts}
        else:
            words = f"array {name} has the shape {array.shape}; allowed: one or two axes"
            raise DataError(f"{path}: {words}, or task: {{kind: images}} for pictures")
    return columns


def _plain(path: Path, name: str, values: Array) -> Array:
    """Return a column as float64 or as text."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind == "U":
        return values
    words = f"column {name} has values of type {values.dtype}; allowed: numbers or text"
    raise DataError(f"{path}: {words}")


TABLE_READERS: Mapping[str, Callable[[Path], Columns]] = MappingProxyType(
    {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}
)
"""The function that reads a table, by the ending of its file."""
