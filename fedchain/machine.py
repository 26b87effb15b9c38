"""Settings of the machine that a user should not have to know."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
"""Names of glibc's malloc.h."""
SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle OpenMP thread would spin on a core that others need
    "OPENBLAS_NUM_THREADS": "1",  # fedchain's threads go side by side, not inside an operation
}
"""Environment variables that are read once, when numpy and torch are loaded."""


def prepare() -> None:
    """Set what must be set before numpy and torch are loaded; what the user has set stays.

    For the command line and for processes that fedchain starts: a program that imports fedchain
    may need other settings for its own arithmetic.

    >>> prepare()
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def one_thread() -> None:
    """Let torch use one thread in this thread: fedchain's own go side by side.

    >>> one_thread()
    """
    import torch

    torch.set_num_threads(1)


def keep_freed_memory() -> None:
    """Ask the C library not to hand freed blocks of megabytes back to the system.

    Activations of every batch come and go; fetching their pages anew costs more than the
    arithmetic on them. What is needed once, before the rounds, should be freed before this is
    asked for. Does nothing where the C library is not glibc.

    >>> keep_freed_memory()
    """
    if sys.platform != "linux":
        return
    verdict_cache = ctypes.CDLL(None)
    if hasattr(verdict_cache, "mallopt"):
        verdict_cache.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        verdict_cache.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        verdict_cache.mallopt(M_TOP_PAD, 1 << 26)
        verdict_cache.mallopt(M_ARENA_MAX, 2)  # what one thread has freed another may have


@contextlib.contextmanager
def start_up_passed_over() -> Iterator[None]:
    """While this lasts, spare the collector of cycles what is there already: modules and parts.

    They are many and they stay; each look at all of them takes a tenth of a second. Inside another
    one it does nothing.

    >>> with start_up_passed_over():
    ...     pass
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
