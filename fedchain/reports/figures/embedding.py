"""Embedding: which tables of a font a PDF file gets."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

PLACING_TABLES = ("GDEF", "GPOS", "GSUB")
"""Tables of a font that say which letters replace others and where letters stand. Matplotlib reads
them when it places the letters. PDF viewers do not read them."""


@contextmanager
def placed_fonts() -> Iterator[None]:
    """Embed fonts without ``PLACING_TABLES`` in PDF files inside a ``with`` block.

    Matplotlib embeds only the letters of a figure. To cut these tables down to them would take two
    thirds of the time of a font.
    """
    subset = importlib.import_module("fontTools.subset")  # with which matplotlib cuts fonts
    load = subset.load_font

    def load_placed(*arguments: Any, **options: Any) -> Any:
        font = load(*arguments, **options)
        for table in PLACING_TABLES:
            if table in font:
                del font[table]
        return font

    with mock.patch.object(subset, "load_font", load_placed):
        yield
