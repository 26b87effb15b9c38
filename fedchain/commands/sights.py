"""Views of ``fedchain inspect``: each for programs (JSON) and for people (tables)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from fedchain.commands.formats import Format

Shown = str | Table


@dataclass(frozen=True)
class Sight:
    """One view of a run, for programs and for people."""

    values: Mapping[str, Any]
    """As one JSON object."""
    shown: Callable[[Format], Sequence[Shown]]
    """As lines and tables."""
