"""Paper: how wide figures are, and in which letters they are written."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

NATURAL_IN = 3.35
"""Width of a figure unless one is asked for, inches: a column of most two-column papers."""
WIDTHS_IN = {"ieee1": 3.5, "ieee2": 7.16}
"""Widths with a name, inches: one and two columns of the IEEE's papers."""
LEAST_IN, MOST_IN = 2.0, 20.0
"""Bounds of a width, inches."""
SANS, SERIF = ["DejaVu Sans"], ["STIXGeneral", "DejaVu Serif"]
"""Fonts that come with matplotlib. STIX has the letters of Times; what it lacks is DejaVu's."""


@dataclass(frozen=True)
class Paper:
    """What figures are drawn for."""

    width_in: float | None = None
    """Width of every figure, inches; None: one column, and cells as wide as their numbers."""
    serif: bool = False
    """Whether letters have serifs, as the text of most papers."""

    @property
    def fonts(self) -> list[str]:
        """Names of the fonts, the first that has a letter writes it."""
        return SERIF if self.serif else SANS


USUAL = Paper()
"""What figures are drawn for unless something else is asked for."""
IN_FORCE: ContextVar[Paper] = ContextVar("paper", default=USUAL)
"""The paper for which figures are drawn now; ``fedchain.reports.figures.style.styled`` sets it."""


def paper_width(text: str) -> float:
    """Read the width of a figure: a name, or a number of inches.

    Raises:
        ValueError: it is neither, or the number is out of bounds.

    >>> paper_width("ieee1"), paper_width("6.5")
    (3.5, 6.5)
    """
    allowed = f"{', '.join(WIDTHS_IN)} or {LEAST_IN:g} to {MOST_IN:g} (inches)"
    try:
        width_in = WIDTHS_IN.get(text) or float(text)
    except ValueError:
        raise ValueError(f"width: must be {allowed}, got {text!r}") from None
    if not LEAST_IN <= width_in <= MOST_IN:
        raise ValueError(f"width: must be {allowed}, got {text}")
    return width_in


def width() -> float:
    """Return the width of the figures that are drawn now, inches."""
    return IN_FORCE.get().width_in or NATURAL_IN


def times_as_wide(count: int) -> int:
    """Return how many things fit beside each other, if ``count`` fit into the natural width.

    >>> times_as_wide(2)
    2
    """
    return max(1, int(count * width() / NATURAL_IN + 0.1))
