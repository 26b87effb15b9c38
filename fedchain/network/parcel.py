"""What travels: an item's name and its size, and what asking for it costs."""

from __future__ import annotations

from dataclasses import dataclass

ANNOUNCEMENT, REQUEST = 61, 61
"""Bytes that name an item, and that ask for it: Bitcoin's ``inv`` and ``getdata`` of one entry."""
HEADERS = 345
"""Bytes of one header that was missed, and of asking for it: 264, and Bitcoin's ``getheaders``."""


@dataclass(frozen=True)
class Parcel:
    """One item on its way."""

    name: bytes
    """What makes it another item than others: its losses are drawn from this name."""
    size: int
    """Bytes of the whole."""
    leaf_size: int
    """Bytes of what a light client takes of it that passes nothing on."""
