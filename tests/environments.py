"""Environments of other Pythons and other versions of packages, for ``elsewhere.py``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".elsewhere"
"""Folder of environments and of the output of failures. git ignores it, `make clean` removes it."""
SUPPORTED = ("3.11", "3.12", "3.13")


def lowest(requirement: str) -> str:
    """Return a requirement of exactly the lowest version that the given requirement permits.

    >>> lowest("torch>=2.6,<2.14")
    'torch==2.6'
    """
    from packaging.requirements import Requirement

    read = Requirement(requirement)
    (least,) = (part.version for part in read.specifier if part.operator == ">=")
    return f"{read.name}=={least}"


def requirements() -> list[str]:
    """Return the packages that fedchain and its tests require, from ``pyproject.toml``."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def pythons() -> dict[str, Path]:
    """Return the path of a Python for each supported version that this machine has.

    Searches PATH and pyenv's versions. A Python that cannot make environments does not count.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in SUPPORTED:
        named = f"python{version}"
        own = Path(sys.base_prefix) / "bin" / named
        there = [own, *(Path(part) / named for part in os.get_exec_path())]
        there += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
        works = (path for path in there if path.is_file() and _makes_environments(path, version))
        path = next(works, None)
        if path is not None:
            found[version] = path
    return found


def _makes_environments(python: Path, version: str) -> bool:
    code = "import ensurepip, sys, venv; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def environment(name: str, python: Path, output: Path) -> Path | None:
    """Return the Python of the named environment; None if the environment could not be made.

    An environment is made anew only if its Python or the required packages have changed.
    """
    folder = KEPT / name
    inside = folder / "bin" / "python"
    required = requirements()
    made_of = "\n".join([str(python), *required]) + "\n"
    note = folder / "made-of.txt"
    pip = [inside, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    if note.is_file() and note.read_text("utf-8") == made_of:
        # The kernels stand in the clone, one file for each Python; they may be of older sources.
        compile_ = [*pip, "--no-deps", "--editable", ROOT]
        return inside if finished([str(part) for part in compile_], output, {}, ROOT) == 0 else None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    exactly = [lowest(each) for each in required] if name.endswith("-lowest") else []
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in exactly), "utf-8")
    steps = [
        [python, "-m", "venv", folder],
        [*pip, "--upgrade", "pip"],
        [*pip, "--constraint", constraints, "--editable", f"{ROOT}[dev]"],
    ]
    for step in steps:
        if finished([str(part) for part in step], output, {}, ROOT) != 0:
            return None
    note.write_text(made_of, "utf-8")
    return inside


def finished(command: Sequence[str], output: Path, variables: Mapping[str, str], at: Path) -> int:
    """Run a command with its output in a file, and return its exit code.

    The command runs in its own session, so that Ctrl-C reaches this program alone. This program
    then ends the command and all processes that the command has started.
    """
    with output.open("ab") as file:
        running = subprocess.Popen(
            command,
            cwd=at,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return running.wait()
        except KeyboardInterrupt:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            raise
