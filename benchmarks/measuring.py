"""Environments of the peers, and processes whose time and memory are measured from outside."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SCRIPTS = HERE / "peers"
ENVIRONMENTS = HERE.parent / ".bench"
TORCH = "torch==2.13.0"
STUBBED = ("byzfl", "fedlab", "fluke")
"""Peers that import torchvision, which the benchmark does not need."""
LONGEST_S = 600
OURS = "fedchain"
"""The environment that runs this script: fedchain, torch and Opacus."""


@dataclass(frozen=True)
class Measured:
    """Measurements of one process."""

    found: dict[str, Any]
    """The values that the process printed; empty if it failed."""
    reason: str
    """Why the process failed; empty if it did not."""
    seconds: float
    """Time from before the start of the process to after its end."""
    peak_mb: float
    """Largest sampled sum of the resident memory of the process and its children."""
    gauge: float
    """Milliseconds of a fixed computation, the longer of before and after; it shows other load."""
    load: float
    """Average number of running processes in the minute before."""


def python_of(environment: str) -> str:
    """Return the interpreter of an environment; install the environment if it is missing.

    Raises:
        RuntimeError: the environment cannot be installed; the message says why.
    """
    if environment == OURS:
        return sys.executable
    folder, wanted = ENVIRONMENTS / environment, SCRIPTS / f"{environment}.txt"
    python, stamp = folder / "bin" / "python", folder / "installed"
    state = hashlib.sha256(TORCH.encode() + wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return str(python)
    print(f"installing {environment}: a minute, the first time only", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    # torch first and alone: no peer may bring another build of it.
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, TORCH],
        [*pip, "--no-deps", "--requirement", str(wanted)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"cannot be installed: {last_line(done.stderr)}")
    if environment in STUBBED:
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "torchvision").mkdir()
        shutil.copy(SCRIPTS / "torchvision_stub.py", packages / "torchvision" / "__init__.py")
    stamp.write_text(state)
    return str(python)


def measured(environment: str, script: str, arguments: Sequence[str]) -> Measured:
    """Run a script in an environment, and read the JSON line that it prints."""
    try:
        command = [python_of(environment), str(SCRIPTS / script), *arguments]
    except RuntimeError as error:
        return Measured({}, str(error), 0.0, 0.0, 0.0, 0.0)
    return timed(command)


def timed(command: Sequence[str]) -> Measured:
    """Run and measure a command; ``found`` is the last line of its output that is a JSON object."""
    before, start = gauge(), time.perf_counter()
    process = subprocess.Popen(
        command, env=environment_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak, over = [0.0], threading.Event()
    weigher = threading.Thread(target=_weigh, args=(process.pid, peak, over))
    weigher.start()
    try:
        out, err = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = "", f"not done after {LONGEST_S} s"
        process.wait()
    seconds = time.perf_counter() - start
    over.set()
    weigher.join()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    found = json.loads(lines[-1]) if lines and not process.returncode else {}
    reason = last_line(err) if process.returncode else ""
    loaded = os.getloadavg()[0]
    return Measured(found, reason, seconds, peak[0], max(before, gauge()), loaded)


def environment_of() -> dict[str, str]:
    """Return the environment of a measured process, without settings of threads or memory."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "MKL_", "OPENBLAS_", "MALLOC_", "KMP_", "GOMP_", "PYTHON"))
    }
    return kept | {"PYTHONPATH": str(HERE)}


def last_line(text: str) -> str:
    """Return the last line of an error's text that is not empty, without paths and colours."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(str(HERE.parent), "").strip()[:200] if lines else "no message"


def gauge() -> float:
    """Return the shortest time of a fixed computation on one core, in milliseconds."""
    numbers, spent = np.arange(500_000, dtype=np.float64), []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(4):
            np.sqrt(numbers).sum()
        spent.append(1000 * (time.perf_counter() - start))
    return min(spent)


def machine() -> dict[str, Any]:
    """Describe the machine, without its name."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = next(
        (
            line.partition("=")[2].strip('"')
            for line in Path("/etc/os-release").read_text().splitlines()
            if line.startswith("PRETTY_NAME")
        ),
        platform.system(),
    )
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": f"{system}, Linux {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _weigh(pid: int, peak: list[float], over: threading.Event) -> None:
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    while not over.wait(0.05):
        peak[0] = max(peak[0], page * sum(_pages(each) for each in _family(pid)))


def _family(pid: int) -> list[int]:
    """Return the ids of a process and of all its descendants."""
    found, new = [], [pid]
    while new:
        found += new
        new = [child for each in new for child in _children(each)]
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # the process has ended meanwhile
        return []


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
