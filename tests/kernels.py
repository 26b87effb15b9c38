"""Kernels that numpy, scipy and torch run in this process, for ``elsewhere.py``.

An environment variable that chooses kernels is not always obeyed: another processor, or another
build or version of a library, may ignore it. Therefore the libraries are asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Kernels:
    """Kernels of a process, as the libraries name them; "none" if a library is missing."""

    aten: str
    """torch's own kernels: ``DEFAULT``, ``AVX2`` or ``AVX512``."""
    onednn: str
    """torch's convolutions: ``Intel SSE4.1``, ``Intel AVX2`` .."""
    mkl: str
    """torch's matrix products: the instructions that MKL names, and the first digits of a hash of
    some products, since on some processors MKL names no instructions."""
    numpy: str
    """The instructions above its baseline that numpy uses, separated by blanks."""
    openblas: str
    """The cores for which the copies of OpenBLAS in numpy and scipy choose their kernels."""
    threads: str
    """Number of threads that a single operation may use."""
    own: str
    """The build of fedchain's own kernels: ``base``, ``avx2`` or ``avx512``; ``off`` without."""


def kernels_of(variables: Mapping[str, str]) -> Kernels:
    """Return the kernels of a new process with some environment variables.

    Raises:
        RuntimeError: the process failed, for example at an instruction that the processor does
            not have; the text is the process's last line on stderr.
    """
    loud = {"MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__))],
        env={**os.environ, **variables, **loud},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(said[-1] if said else f"ended with {done.returncode}")
    found = json.loads(done.stderr.strip().splitlines()[-1])
    named = mkl_instructions(done.stdout)
    found["mkl"] = f"{named} {found['mkl']}" if named else "none"
    return Kernels(onednn=onednn_instructions(done.stdout) or "none", **found)


def mkl_instructions(printed: str) -> str | None:
    """Return the instructions that MKL_VERBOSE=1 printed, or None without MKL.

    >>> mkl_instructions("MKL_VERBOSE oneMKL 2024.0 .. (Intel(R) AVX2) enabled ..")
    'AVX2'
    >>> mkl_instructions("MKL_VERBOSE oneMKL 2024.0 .. Intel(R) Architecture processors, ..")
    'unnamed'
    """
    if "MKL_VERBOSE" not in printed:
        return None
    named = re.search(r"\(Intel\(R\) ([^)]+)\)", printed)
    return named.group(1) if named else "unnamed"


def onednn_instructions(printed: str) -> str | None:
    """Return the instructions that ONEDNN_VERBOSE=1 printed, or None without oneDNN.

    >>> onednn_instructions("onednn_verbose,v1,info,cpu,isa:Intel AVX2")
    'Intel AVX2'
    """
    named = re.search(r"^onednn_verbose,.*\bisa:(.+)$", printed, re.MULTILINE)
    return named.group(1) if named else None


@dataclass(frozen=True)
class Setting:
    """Environment variables, and the kernels that the libraries must name for the row to count."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, str | None] = field(default_factory=dict)
    """Wanted values of fields of ``Kernels``; None: any value but that without the variables."""


JOINED = {
    "lowest": (
        "aten-default",
        "onednn-sse41",
        "mkl-compatible",
        "numpy-baseline",
        "openblas-nehalem",
        "threads-1",
        "own-off",
    ),
    "older": ("aten-avx2", "onednn-avx2", "mkl-sse42", "openblas-haswell", "threads-2", "own-avx2"),
    "newer": ("mkl-avx2", "openblas-skylakex"),
}
"""Rows that set several libraries at once. Each setting of one library stands in exactly one of
these rows, so that few runs of the suite cover all settings: the libraries choose their kernels
independently of each other. The rows of one setting find the cause of a failure."""


def processors(plain: Kernels) -> list[Setting]:
    """Return the settings of processors; ``plain`` are the kernels without any setting."""
    one = [
        Setting("as-is"),
        Setting("aten-default", {"ATEN_CPU_CAPABILITY": "default"}, {"aten": "DEFAULT"}),
        Setting("aten-avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, {"aten": "AVX2"}),
        Setting("onednn-sse41", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"onednn": "Intel SSE4.1"}),
        Setting("onednn-avx2", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"onednn": "Intel AVX2"}),
        # MKL obeys MKL_ENABLE_INSTRUCTIONS on Intel's processors alone, MKL_CBWR on all.
        Setting("mkl-avx2", {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, {"mkl": None}),
        Setting("mkl-sse42", {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, {"mkl": None}),
        Setting("mkl-compatible", {"MKL_CBWR": "COMPATIBLE"}, {"mkl": None}),
        Setting("numpy-baseline", {"NPY_DISABLE_CPU_FEATURES": plain.numpy}, {"numpy": ""}),
        *(
            Setting(f"openblas-{core.lower()}", {"OPENBLAS_CORETYPE": core}, {"openblas": core})
            for core in ("Nehalem", "Haswell", "SkylakeX")
        ),
        *(Setting(f"threads-{number}", threads(number), {"threads": number}) for number in "12"),
        Setting("own-off", {"FEDCHAIN_NATIVE": "0"}, {"own": "off"}),
        Setting("own-avx2", {"FEDCHAIN_NATIVE": "avx2"}, {"own": "avx2"}),
    ]
    by_name = {setting.name: setting for setting in one}
    return [*one, *(merged(name, [by_name[each] for each in JOINED[name]]) for name in JOINED)]


def threads(number: str) -> dict[str, str]:
    """Return the environment variables that give a single operation ``number`` threads.

    >>> threads("2")["OMP_NUM_THREADS"]
    '2'
    """
    return {f"{name}_NUM_THREADS": number for name in ("OMP", "MKL", "OPENBLAS")}


def merged(name: str, settings: Sequence[Setting]) -> Setting:
    """Return one setting that joins several.

    >>> merged("both", [Setting("a", {"A": "1"}), Setting("b", {"B": "2"})]).variables
    {'A': '1', 'B': '2'}
    """
    variables = {name: value for one in settings for name, value in one.variables.items()}
    wanted = {name: value for one in settings for name, value in one.wanted.items()}
    return Setting(name, variables, wanted)


def missed(wanted: Mapping[str, str | None], found: Kernels, plain: Kernels) -> list[str]:
    """Return a text for each wanted kernel that does not run; nothing if all run."""
    wrong = []
    for name, value in wanted.items():
        is_, was = getattr(found, name), getattr(plain, name)
        if is_ == "none":
            wrong.append(f"there is no {name}")
        elif value is None and is_ == was:
            wrong.append(f"{name} computes the same as without it")
        elif value is not None and is_ != value:
            wrong.append(f"{name} is {is_ or 'at its baseline'}")
    return wrong


def numpy_instructions() -> str:
    """Return the instructions above its baseline that numpy uses here, separated by blanks."""
    from numpy._core import _multiarray_umath as compiled

    used = compiled.__cpu_features__
    return " ".join(name for name in compiled.__cpu_dispatch__ if used[name])


def ask() -> dict[str, str]:
    """Return the kernels of this process that the libraries can be asked for.

    Other kernels are only printed by their libraries.
    """
    import numpy
    import scipy.linalg  # noqa: F401 - brings an OpenBLAS of its own
    import torch
    from threadpoolctl import threadpool_info

    from fedchain.native.loading import library

    blas = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    threads = {torch.get_num_threads(), *(pool["num_threads"] for pool in blas)}
    chance = numpy.random.default_rng(0)
    torch.nn.Conv2d(3, 4, 3)(torch.zeros(4, 3, 8, 8))  # at its first use oneDNN prints
    products = hashlib.sha256()
    for size in (5, 33, 64, 257):
        left, right = (torch.from_numpy(chance.random((size, size))).float() for _ in "ab")
        products.update((left @ right).numpy().tobytes())
    return {
        # The lowest level has another name in torch 2.6.
        "aten": torch.backends.cpu.get_cpu_capability().replace("NO AVX", "DEFAULT"),
        "mkl": products.hexdigest()[:6],
        "numpy": numpy_instructions(),
        "openblas": " and ".join(sorted({pool["architecture"] for pool in blas})) or "none",
        "threads": " and ".join(str(number) for number in sorted(threads)),
        "own": found.build if (found := library()) else "off",
    }


if __name__ == "__main__":
    sys.stderr.write(json.dumps(ask()) + "\n")
