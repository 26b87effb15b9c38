"""Memory that is freed stays with the process, so that the next batch finds it warm."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Names of glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Ask the C library not to hand freed blocks of megabytes back to the system.

    Activations of every batch come and go; fetching their pages anew costs more than the
    arithmetic on them. Does nothing where the C library is not glibc.

    >>> keep_freed_memory()
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        library.mallopt(M_TOP_PAD, 1 << 26)
