"""Run the tests as other machines would, and print a table of what passed: see ``--help``.

The table has three kinds of rows. *Processors* runs the tests that use floating point, under
settings that make the libraries run the kernels of other processors: without ``--only``, as they
are, and three times with a setting for every library at once. *Pythons* runs the whole suite
under every Python that fedchain supports and this machine has, once with the lowest versions of
packages that ``pyproject.toml`` permits and once with the newest; each has its own environment.
*Clone* runs the whole suite in a clone with nothing beside it.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from environments import KEPT, ROOT, SUPPORTED, environment, finished, pythons
from kernels import JOINED, Kernels, Setting, kernels_of, missed, processors

WHOLE = ("tests", "fedchain")
LEFT_OUT = {
    "scenario": "text and its errors",
    "network": "graphs and latencies, in Python's own numbers",
    "results": "files of a run, whatever stands in them",
    "secure_aggregation": "whole numbers alone",
    "reports": "figures and tables of runs; the runs themselves stand in other tests",
    "page": "what a browser shows of runs; it computes for itself",
    "sweeps": "which runs a sweep makes; the runs themselves stand in other tests",
    "forecasts": "estimates of time and memory",
    "ledger/storage/test_crashes.py": "one chain, broken off at every write: one kernel is enough",
    "ledger/tools/test_fuzz.py": "bytes that are no chain",
    "runs/test_failing_disk.py": "one run, broken off at every write: one kernel is enough",
    "runs/test_killed.py": "the same for killed processes",
}
"""Tests that do not run under the settings of processors, with the reason; all others do."""


@dataclass(frozen=True)
class Asked:
    """The request that the command line states."""

    names: Sequence[str]
    """Names of the rows to run."""
    environments: Mapping[str, Path]
    """Folders of existing environments, by row."""
    workers: str
    """Number of processes that run tests at a time."""
    tests: Sequence[str]
    """Tests to run in place of each row's own tests; if empty, each row runs its own."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    result: str
    """``passed``, ``failed`` or ``not here``."""
    seconds: float
    said: str
    """What ran, or why nothing ran; and where the output of a failure is."""


@dataclass(frozen=True)
class Suite:
    """A call of pytest: its Python, tests, environment variables and working folder."""

    python: Path
    tests: Sequence[str] = WHOLE
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match a pattern.

    >>> chosen(["as-is", "3.13-newest", "3.13-lowest"], ["3.13-*"])
    ['3.13-newest', '3.13-lowest']
    """
    return [name for name in names if any(fnmatch.fnmatch(name, each) for each in patterns)]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, in columns.

    >>> print(table([Row("as-is", "passed", 61.0, "812 passed")]))
    as-is  passed  61 s  812 passed
    """
    cells = [(row.name, row.result, f"{row.seconds:.0f} s", row.said) for row in rows]
    wide = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)][:3]
    wide.append(0)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, wide, strict=True)).rstrip()
        for line in cells
    )


def outcome(name: str, suite: Suite, output: Path, asked: Asked, ran: str) -> Row:
    """Run a suite, and return its row; if the suite passes, the output file is deleted."""
    command = [str(suite.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", asked.workers, "-m", "not long", *(asked.tests or suite.tests)]
    began = time.monotonic()
    code = finished(command, output, suite.variables, suite.folder)
    lines = output.read_text("utf-8", "replace").split("\n")
    last = next((line.strip("= ") for line in reversed(lines) if line.strip()), "nothing was said")
    said = f"{last}; {ran}"
    if code == 0:
        output.unlink()
        return Row(name, "passed", time.monotonic() - began, said)
    return Row(name, "failed", time.monotonic() - began, f"{said}; see {output}")


def under(setting: Setting, plain: Kernels, output: Path, asked: Asked) -> Row:
    """Run the tests that use floating point under a setting of the processor."""
    try:
        found = kernels_of(setting.variables)
    except RuntimeError as error:
        return Row(setting.name, "not here", 0.0, f"numpy or torch does not start: {error}")
    wrong = missed(setting.wanted, found, plain)
    # A joined row also runs if some of its libraries do not obey, and says what ran.
    if wrong and (setting.name not in JOINED or len(wrong) == len(setting.wanted)):
        return Row(setting.name, "not here", 0.0, ", ".join(wrong))
    shown = setting.wanted or vars(plain)
    ran = ", ".join(f"{name} {getattr(found, name) or 'baseline'}" for name in shown)
    own = ["tests", *(f"--ignore=tests/{name}" for name in LEFT_OUT)]
    suite = Suite(Path(sys.executable), own, setting.variables)
    return outcome(setting.name, suite, output, asked, ran)


def with_versions(name: str, output: Path, asked: Asked) -> Row:
    """Run the whole suite in the environment with a name such as ``3.12-lowest``."""
    began = time.monotonic()
    version = name.partition("-")[0]
    if name in asked.environments:
        inside = asked.environments[name] / "bin" / "python"
    else:
        python = pythons().get(version)
        if python is None:
            return Row(name, "not here", 0.0, f"there is no Python {version}")
        inside = environment(name, python, output)
    if inside is None:
        took = time.monotonic() - began
        return Row(name, "failed", took, f"the packages cannot be installed; see {output}")
    code = (
        "import numpy, platform, torch; print(f'Python {platform.python_version()}, "
        "numpy {numpy.__version__}, torch {torch.__version__}')"
    )
    said = subprocess.run([inside, "-c", code], capture_output=True, text=True, check=False)
    ran = said.stdout.strip() or "numpy or torch cannot be imported"
    # An environment that was given may have been made for another folder.
    return outcome(name, Suite(inside, variables={"PYTHONPATH": str(ROOT)}), output, asked, ran)


def alone(output: Path, asked: Asked) -> Row:
    """Run the whole suite in a clone of the last commit, with no folder beside it and no cache."""
    with tempfile.TemporaryDirectory(prefix="fedchain-alone-") as above:
        clone = Path(above) / "clone" / "fedchain"
        copied = ["git", "clone", "--quiet", str(ROOT), str(clone)]
        if finished(copied, output, {}, ROOT) != 0:
            return Row("clone", "failed", 0.0, f"git could not clone; see {output}")
        own = {"PYTHONPATH": str(clone), "FEDCHAIN_CACHE": str(Path(above) / "cache")}
        head = ["git", "-C", str(clone), "log", "-1", "--format=commit %h"]
        ran = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
        suite = Suite(Path(sys.executable), variables=own, folder=clone)
        return outcome("clone", suite, output, asked, ran)


def results(asked: Asked) -> Iterator[Row]:
    """Run the chosen rows one after the other, and yield their results."""
    outputs = KEPT / "output"
    outputs.mkdir(parents=True, exist_ok=True)
    plain: Kernels | None = None
    for number, name in enumerate(asked.names, 1):
        sys.stderr.write(f"[{number}/{len(asked.names)}] {name} ..\n")
        output = outputs / f"{name}.txt"
        output.unlink(missing_ok=True)
        if name == "clone":
            yield alone(output, asked)
        elif name.partition("-")[0] in SUPPORTED:
            yield with_versions(name, output, asked)
        else:
            plain = plain or kernels_of({})
            setting = next(each for each in processors(plain) if each.name == name)
            yield under(setting, plain, output, asked)


def names() -> list[str]:
    """Return the names of all rows."""
    nothing = Kernels(**dict.fromkeys(Kernels.__dataclass_fields__, ""))
    settings = [setting.name for setting in processors(nothing)]
    versions = [f"{version}-{kind}" for version in SUPPORTED for kind in ("lowest", "newest")]
    return [*settings, *versions, "clone"]


def usual() -> list[str]:
    """Return the names of the rows that run without ``--only``: each setting runs in one row."""
    alone = {setting for settings in JOINED.values() for setting in settings}
    return [name for name in names() if name not in alone]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description="Run the tests as other machines would: with the kernels of other processors,"
        " under other Pythons with the lowest and the newest packages, and in a clone that stands"
        " alone. Prints a table; ends with 1 if a row failed. What this machine cannot do is told"
        " as not here, and is no failure.",
        epilog="Example: python tests/elsewhere.py --only 'mkl-*' --only clone tests/simulation",
    )
    made.add_argument("tests", nargs="*", help="run these in place of each row's own tests")
    made.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    made.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="run this row, and no row of the usual ones; * fits anything",
    )
    made.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="use this environment for a row such as 3.12-lowest, rather than make one of 1 to"
        f" 5 GB in {KEPT.name}/, which is kept",
    )
    made.add_argument(
        "--workers", default="2", metavar="N", help="processes that run tests at a time (2)"
    )
    return made


def checked(read: argparse.Namespace) -> Asked:
    """Return the request in the parsed command line.

    Raises:
        ValueError: a row or an environment does not exist.
    """
    every = names()
    wanted = chosen(every, read.only) if read.only else usual()
    for pattern in read.only:
        if not chosen(every, [pattern]):
            raise ValueError(f"--only {pattern}: no such row; --list prints them")
    given = {}
    for pair in read.env:
        name, _, folder = pair.partition("=")
        if name not in every or name.partition("-")[0] not in SUPPORTED:
            raise ValueError(f"--env {pair}: {name} is no row with versions; --list prints them")
        if not (Path(folder) / "bin" / "python").exists():
            raise ValueError(f"--env {pair}: {folder}/bin/python is missing")
        given[name] = Path(folder).absolute()
    return Asked(wanted, given, read.workers, read.tests)


def main() -> int:
    """Run the rows that the command line asks for, and return the exit code."""
    line = parser()
    read = line.parse_args()
    try:
        asked = checked(read)
    except ValueError as error:
        line.error(str(error))
    if read.list:
        sys.stdout.write("".join(f"{name}\n" for name in asked.names))
        return 0
    rows: list[Row] = []
    try:
        for row in results(asked):
            rows.append(row)
            sys.stderr.write(f"{table([row])}\n")
        code = int(any(row.result == "failed" for row in rows))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what follows was finished\n")
        code = 130
    if rows:
        sys.stdout.write(table(rows) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
