"""Machine: settings of numpy, torch, the C library and the garbage collector.

Some settings make fedchain faster. Others make results independent of the program that calls
fedchain.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator

from fedchain.errors import RunRefused

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
"""Numbers of the ``mallopt`` options in glibc's malloc.h."""
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # an idle OpenMP thread would spin on a core that others need
    "OPENBLAS_NUM_THREADS": "1",  # fedchain runs operations in parallel, each in one thread
}
"""Environment variables that numpy and torch read once, when they are loaded."""

# Libraries read these variables once, so a run cannot set them.
ROUNDING = {
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
    "DNNL_DEFAULT_FPMATH_MODE": "STRICT",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0",
}
"""Environment variables that can make torch round more, each with the value that prevents it."""
PRECISIONS = (
    "cuda.matmul",
    "cudnn.conv",
    "cudnn.rnn",
    "mkldnn.matmul",
    "mkldnn.conv",
    "mkldnn.rnn",
)
"""Settings in ``torch.backends`` for the precision of float32 products, since torch 2.9."""
COMPILED, NO_KERNELS = "compiled", "none"
"""Values for the kernels in a manifest. All builds of the kernels compute the same bits."""
_entering = threading.Lock()
_undoing: list[Callable[[], None]] = []
"""For each active ``exact_arithmetic``, the function that restores the settings."""


def prepare() -> None:
    """Set the variables of ``ENVIRONMENT``, and make matplotlib draw without a screen.

    Call this function before numpy and torch are loaded. Variables of ``ENVIRONMENT`` that the user
    has set keep their value.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["MPLBACKEND"] = "agg"


def one_thread() -> None:
    """Make torch compute each operation in one thread."""
    import torch

    torch.set_num_threads(1)


def _start_clean() -> None:
    """Make a process that was just forked compute in one thread, if it has torch."""
    if "torch" in sys.modules:
        one_thread()


if hasattr(os, "register_at_fork"):
    # A fork copies no threads. An operation that would use the parent's threads waits for ever.
    os.register_at_fork(after_in_child=_start_clean)


def compute_exactly() -> Callable[[], None]:
    """Make torch compute and multiply in full float32 precision, on CPU and GPU.

    Returns:
        A function that restores the previous settings.
    """
    import torch

    # With products in bfloat16 or TF32, a record could move the sum by more than the clip.
    dtype, backends = torch.get_default_dtype(), torch.backends
    torch.set_default_dtype(torch.float32)
    if not hasattr(backends, "fp32_precision"):  # before torch 2.9
        products, convolutions = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision("highest")
        backends.cudnn.allow_tf32 = False

        def undo_old() -> None:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(products)
            backends.cudnn.allow_tf32 = convolutions

        return undo_old
    places = [operator.attrgetter(each)(backends) for each in PRECISIONS]
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"

    def undo() -> None:
        torch.set_default_dtype(dtype)
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision

    return undo


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Within this context, compute as a run does, whatever the calling program has set.

    The context sets torch's precision, default type and device, enables gradients, and sets how
    numpy treats errors. If several threads are in the context, the last thread to leave restores
    the settings.

    Raises:
        RunRefused: an environment variable makes torch round more than float32 does.
    """
    import numpy as np
    import torch

    for name, fine in ROUNDING.items():
        if (value := os.environ.get(name, "")).upper() not in ("", fine):
            raise RunRefused(
                f"{name}: is {value}, which makes torch round more than float32 does: a record can "
                f"move a sum by more than the clip; allowed: {fine}, or unset it"
            )
    # A device as a context slows every operation down, so it is entered only if it is needed.
    elsewhere = torch.empty(0).device.type != "cpu"
    with _entering:
        _undoing.append(_undoing[0] if _undoing else compute_exactly())
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.device("cpu") if elsewhere else contextlib.nullcontext(),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        ):
            yield
    finally:
        with _entering:
            undo = _undoing.pop()
            if not _undoing:
                undo()


def arithmetic() -> dict[str, str]:
    """Return the settings that affect the last bits of gradients, for the manifest."""
    import torch

    from fedchain.native.loading import library  # imports numpy

    return {
        "products": "float32",
        "default_dtype": "float32",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "kernels": COMPILED if library() else NO_KERNELS,
    }


def keep_freed_memory() -> None:
    """Make the C library keep large freed blocks instead of returning them to the system.

    Free unneeded memory before the call. Without glibc the function does nothing.
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

    A nested context does nothing.
    """
    # Each pass over these objects, which are never freed, would take a tenth of a second.
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
