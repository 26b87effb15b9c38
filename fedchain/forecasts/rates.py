"""Rates: seconds per operation, for the parts of a round that a trial does not time.

The measured rates of a machine are kept in a file of the user's cache folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from fedchain.cache import RATES, add, cache_folder
from fedchain.errors import RunError

RATES_FILE = f"{RATES}-2.json"
"""Name of the file in the cache folder; the number is the version of its layout."""
LARGEST_RATES = 65_536
"""Largest file of rates that is read, bytes."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Rates(BaseModel, frozen=True):
    """Seconds that a machine needs per operation of each kind.

    ``fedchain doctor --calibrate`` measures them. ``Trial.counts`` uses the same type for the
    number of operations of each kind in a round.

    >>> ROUGH.rows()[-1]
    ('everything else of a round', '200 /s', '5 ms')
    """

    message: Amount = Field(title="bytes of messages: checked, aggregated, stored")
    state: Amount = Field(title="bytes of a state: updated, hashed, stored")
    event: Amount = Field(title="deliveries")
    holder: Amount = Field(title="everything else of a holder")
    round: Amount = Field(title="everything else of a round")

    def rows(self) -> list[tuple[str, str, str]]:
        """Return rows of text: the operation, operations per second, and seconds per operation."""
        from matplotlib.ticker import EngFormatter

        rate, duration = EngFormatter("/s"), EngFormatter("s")
        return [
            (
                str(type(self).model_fields[name].title),
                rate(float(f"{1 / taken:.3g}")) if taken else "not seen",
                duration(float(f"{taken:.3g}")),
            )
            for name, taken in self
        ]


ROUGH = Rates(message=2e-9, state=2e-9, event=5.3e-6, holder=2.8e-4, round=5e-3)
"""Rates of two cores of a server, for machines that were not measured."""


def read_rates() -> Rates | None:
    """Return the rates that were measured on this machine, or None.

    A file that is damaged, or of another layout, is ignored.
    """
    path = cache_folder() / RATES_FILE
    try:
        if path.stat().st_size > LARGEST_RATES:
            return None
        return Rates.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def keep_rates(rates: Rates) -> Path:
    """Write rates into the user's cache folder, and return the file.

    Raises:
        RunError: the folder cannot be written.
    """
    path = cache_folder() / RATES_FILE
    try:
        add(path, lambda file: file.write(rates.model_dump_json(indent=2).encode() + b"\n"))
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error
    return path
