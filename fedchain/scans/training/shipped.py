"""Shipped weights: the model that comes with fedchain, trained on simulated scans only."""

from __future__ import annotations

from pathlib import Path

from fedchain.errors import DataError

SHIPPED = Path(__file__).with_name("shipped.npz")
"""The model file that comes with fedchain."""


def shipped_model() -> Path:
    """Return the path of the model file that comes with fedchain.

    Raises:
        DataError: this installation has none.
    """
    if not SHIPPED.exists():
        raise DataError(
            "no model: this fedchain comes without trained weights; allowed: --model MODEL, a "
            "file that fedchain scan train has written, or --from-run RUN"
        )
    return SHIPPED
