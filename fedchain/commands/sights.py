"""What ``fedchain inspect`` shows: the same for programs and for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from fedchain.commands.formats import Format

Shown = str | Table


@dataclass(frozen=True)
class Sight:
    """What was looked at, for programs and for people."""

    values: Mapping[str, Any]
    """As one JSON object."""
    shown: Callable[[Format], Sequence[Shown]]
    """As lines and tables."""
