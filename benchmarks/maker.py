"""Maker: the commands that make some pictures and tables of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from page_tables import Made


@dataclass(frozen=True)
class Text:
    """A table, or another text, between two marks in a page."""

    page: str
    """Path of the page from the root of the repository."""
    made: Made | None = None
    """Function that makes the text from the commands' outcomes; None: a command writes the text."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Commands, and the pictures, texts and pages that they make."""

    commands: tuple[str, ...]
    """Commands as typed; ``{out}`` is a folder for outputs, ``{0}`` the first command's folder."""
    minutes: float
    """Approximate time of all commands on two cores, in minutes."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Names of pictures in docs/pictures, and for each a file in the first command's folder."""
    texts: Mapping[str, Text] = field(default_factory=dict)
    """Texts between marks, by the name after the maker's name in the mark ("" for none)."""
    page: str | None = None
    """A page that the commands write as a whole."""
