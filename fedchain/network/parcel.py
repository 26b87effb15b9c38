"""Parcel: an item that travels, its name and size, and the bytes that asking for it costs."""

from __future__ import annotations

from dataclasses import dataclass

ANNOUNCEMENT, REQUEST = 61, 61
"""Bytes of an item's name and of a request for it: Bitcoin's ``inv`` and ``getdata``, one entry."""
HEADERS = 345
"""Bytes of a missed header and of the request for it: 264 for the header, the rest for Bitcoin's
``getheaders``."""


@dataclass(frozen=True)
class Parcel:
    """One item on its way."""

    name: bytes
    """Distinguishes it from other items: its losses are drawn from this name."""
    size: int
    """Bytes of the whole item."""
    leaf_size: int
    """Bytes of the part that goes to a light client that passes nothing on."""
