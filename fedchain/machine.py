"""Settings of numpy, torch, the C library and the garbage collector that make fedchain fast.

Users need not know these settings.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
"""Numbers of the options of ``mallopt`` in glibc's malloc.h."""
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle OpenMP thread would spin on a core that others need
    "OPENBLAS_NUM_THREADS": "1",  # fedchain runs operations in parallel, each in one thread
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
    """Make torch compute each operation in one thread: fedchain itself runs several threads."""
    import torch

    torch.set_num_threads(1)


def keep_freed_memory() -> None:
    """Make the C library keep large freed blocks instead of returning them to the system.

    Every batch of a training step allocates and frees memory for its activations. Getting this
    memory from the system each time takes longer than the arithmetic. Before this is called,
    memory that only the preparation needs should be freed. Without glibc this does nothing.
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

    These objects are many and are never freed. The collector would take a tenth of a second for
    each pass over them. If the context is entered inside itself, the inner one does nothing.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
