"""Settings of numpy, torch, the C library and the collector that make fedchain fast.

A user should not have to know them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
"""Options of ``mallopt``, as glibc's malloc.h numbers them."""
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle OpenMP thread would spin on a core that others need
    "OPENBLAS_NUM_THREADS": "1",  # fedchain runs threads side by side, not inside an operation
}
"""Environment variables that numpy and torch read once, when they are loaded."""


def prepare() -> None:
    """Set the environment variables of ``ENVIRONMENT``, before numpy and torch are loaded.

    A variable that the user has set keeps its value. Only the command line and processes that
    fedchain starts call this: a program that imports fedchain may need other settings for its
    own arithmetic.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def one_thread() -> None:
    """Let torch use one thread for the work of this thread: fedchain runs several side by side."""
    import torch

    torch.set_num_threads(1)


def keep_freed_memory() -> None:
    """Ask the C library to keep freed blocks of megabytes instead of returning them to the system.

    The activations of every batch are allocated and freed; to get their pages anew costs more
    than the arithmetic on them. Memory that is needed once, before the rounds, should be freed
    before this is called. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        libc.mallopt(M_TOP_PAD, 1 << 26)
        libc.mallopt(M_ARENA_MAX, 2)  # a thread may reuse what another one has freed


@contextlib.contextmanager
def start_up_passed_over() -> Iterator[None]:
    """Within this context, hide existing objects (modules, parts) from the garbage collector.

    They are many and they stay; each pass over all of them takes a tenth of a second. Inside
    another such context this does nothing.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
