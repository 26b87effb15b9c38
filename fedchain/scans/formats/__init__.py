"""File formats of scans and clouds, one file a format; the ending of a name selects the format.

``read_scan`` and ``read_cloud`` read; ``write_scan``, ``write_cloud`` and ``convert`` write. What
each format holds stands in docs/scans.md.
"""

from fedchain.scans.formats.reading import READERS, holds_keep, read_any, read_cloud, read_scan
from fedchain.scans.formats.writing import WRITERS, Converted, convert, write_cloud, write_scan

__all__ = [
    "READERS",
    "WRITERS",
    "Converted",
    "convert",
    "holds_keep",
    "read_any",
    "read_cloud",
    "read_scan",
    "write_cloud",
    "write_scan",
]
