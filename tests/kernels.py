"""Which kernels the libraries of numbers run in this process; ``elsewhere.py`` asks.

What a variable of the environment asks for is not always what happens: another processor, another
build or another version of a library may pass over it. So the libraries are asked.
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
    """What a process runs, in the words of the libraries; "none" where a library is not there."""

    aten: str
    """torch's own kernels: ``DEFAULT``, ``AVX2`` or ``AVX512``."""
    onednn: str
    """torch's convolutions: ``Intel SSE4.1``, ``Intel AVX2`` .."""
    mkl: str
    """torch's products of matrices: the instructions if MKL names them, and the first digits of a
    hash of some products, since on some processors it does not name them."""
    numpy: str
    """The instructions above its baseline that numpy uses, with blanks between."""
    openblas: str
    """The cores for which the copies of OpenBLAS in numpy and scipy choose their kernels."""
    threads: str
    """How many threads a single operation may use."""


def kernels_of(variables: Mapping[str, str]) -> Kernels:
    """Return what a new process runs under these environment variables.

    Raises:
        RuntimeError: the process ended early, as one does that runs instructions which the
            processor does not have; the text is what it said.
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
    """Return what MKL_VERBOSE=1 says of instructions, or None without MKL.

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
    """Return what ONEDNN_VERBOSE=1 says of instructions, or None without oneDNN.

    >>> onednn_instructions("onednn_verbose,v1,info,cpu,isa:Intel AVX2")
    'Intel AVX2'
    """
    named = re.search(r"^onednn_verbose,.*\bisa:(.+)$", printed, re.MULTILINE)
    return named.group(1) if named else None


@dataclass(frozen=True)
class Setting:
    """Environment variables, and what the libraries must then say for the row to count."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, str | None] = field(default_factory=dict)
    """Fields of ``Kernels``; None: anything but what there is without the variables."""


def processors(plain: Kernels) -> list[Setting]:
    """Return the settings of processors; ``plain`` is what runs without any."""
    one = [
        Setting("as-is"),
        Setting("aten-default", {"ATEN_CPU_CAPABILITY": "default"}, {"aten": "DEFAULT"}),
        Setting("aten-avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, {"aten": "AVX2"}),
        Setting("onednn-sse41", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"onednn": "Intel SSE4.1"}),
        Setting("onednn-avx2", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"onednn": "Intel AVX2"}),
        # MKL obeys these on Intel's processors alone, and MKL_CBWR on all.
        Setting("mkl-avx2", {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, {"mkl": None}),
        Setting("mkl-sse42", {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, {"mkl": None}),
        Setting("mkl-compatible", {"MKL_CBWR": "COMPATIBLE"}, {"mkl": None}),
        Setting("numpy-baseline", {"NPY_DISABLE_CPU_FEATURES": plain.numpy}, {"numpy": ""}),
        *(
            Setting(f"openblas-{core.lower()}", {"OPENBLAS_CORETYPE": core}, {"openblas": core})
            for core in ("Nehalem", "Haswell", "SkylakeX")
        ),
        *(Setting(f"threads-{number}", threads(number), {"threads": number}) for number in "12"),
    ]
    lowest = {"aten-default", "onednn-sse41", "mkl-compatible", "numpy-baseline"}
    lowest |= {"openblas-nehalem", "threads-1"}
    together = [setting for setting in one if setting.name in lowest]
    return [*one, merged("lowest", together)]


def threads(number: str) -> dict[str, str]:
    """Return the variables by which a single operation takes so many threads.

    >>> threads("2")["OMP_NUM_THREADS"]
    '2'
    """
    return {f"{name}_NUM_THREADS": number for name in ("OMP", "MKL", "OPENBLAS")}


def merged(name: str, settings: Sequence[Setting]) -> Setting:
    """Return one setting of all.

    >>> merged("both", [Setting("a", {"A": "1"}), Setting("b", {"B": "2"})]).variables
    {'A': '1', 'B': '2'}
    """
    variables = {name: value for one in settings for name, value in one.variables.items()}
    wanted = {name: value for one in settings for name, value in one.wanted.items()}
    return Setting(name, variables, wanted)


def missed(wanted: Mapping[str, str | None], found: Kernels, plain: Kernels) -> list[str]:
    """Return what the libraries do not do although they were asked to; nothing if all is well."""
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


def ask() -> dict[str, str]:
    """Return what the libraries say of this process, all but what they only print."""
    import numpy
    import scipy.linalg  # noqa: F401 - brings an OpenBLAS of its own
    import torch
    from numpy._core import _multiarray_umath as compiled
    from threadpoolctl import threadpool_info

    used = [name for name in compiled.__cpu_dispatch__ if compiled.__cpu_features__[name]]
    blas = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    threads = {torch.get_num_threads(), *(pool["num_threads"] for pool in blas)}
    chance = numpy.random.default_rng(0)
    torch.nn.Conv2d(3, 4, 3)(torch.zeros(4, 3, 8, 8))  # oneDNN says its instructions at first use
    products = hashlib.sha256()
    for size in (5, 33, 64, 257):
        left, right = (torch.from_numpy(chance.random((size, size))).float() for _ in "ab")
        products.update((left @ right).numpy().tobytes())
    return {
        # The lowest level has another name in torch 2.6.
        "aten": torch.backends.cpu.get_cpu_capability().replace("NO AVX", "DEFAULT"),
        "mkl": products.hexdigest()[:6],
        "numpy": " ".join(used),
        "openblas": " and ".join(sorted({pool["architecture"] for pool in blas})) or "none",
        "threads": " and ".join(str(number) for number in sorted(threads)),
    }


if __name__ == "__main__":
    sys.stderr.write(json.dumps(ask()) + "\n")
