"""The wheel and the source archive as a user has them, far from the repository.

The environment is new and gets the wheel alone. It borrows fedchain's dependencies from the Python
that runs the tests, since installing them takes minutes and gigabytes. ``test_packaging.py`` tests
that all dependencies are declared.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from help_examples import examples

import fedchain
from fedchain.native.loading import BUILDS

pytestmark = pytest.mark.long
HOME = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs", "fedchain", "scenarios", "tests")
README = (HOME / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PARTS = ("tests/scenario", "tests/commands", "tests/test_packaging.py", "tests/ledger")
"""Tests of the source archive that are run: those that read files beside the package, and more."""


def run(*command, folder, path="", code=0):
    """Run a command in an environment that does not lead to this repository; return its stdout."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLUMNS")}
    environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    environment["FEDCHAIN_CACHE"] = str(folder / ".cache")
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of the source archive and of the wheel that is made from the archive."""
    folder = tmp_path_factory.mktemp("built")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "setuptools>=77"]
    if subprocess.run(pip, cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("setuptools, which builds the package, cannot be had: no network")
    source = folder / "source"
    for name in FOLDERS:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HOME / name, source / name, ignore=without)
    for file in HOME.iterdir():
        if file.is_file():
            shutil.copy(file, source)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", source, folder=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """Return the folder of programs in an environment with the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder / "new", folder=folder)
    place = folder / "new" / ("Scripts" if os.name == "nt" else "bin")
    run(place / "python", "-m", "pip", "install", "--quiet", "--no-deps", wheel, folder=folder)
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    libraries = Path(run(place / "python", "-c", find, folder=folder).strip())
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (libraries / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(borrowed)))
    where = run(place / "python", "-c", "import fedchain; print(fedchain.__file__)", folder=folder)
    assert Path(where).is_relative_to(libraries)
    return place


def test_a_script_beside_a_clone_finds_the_package_that_is_installed_from_it(built, tmp_path):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    (tmp_path / archive.name.removesuffix(".tar.gz")).rename(tmp_path / "fedchain")
    run(sys.executable, "-m", "venv", tmp_path / "new", folder=tmp_path)
    python = tmp_path / "new" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = (python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", "./fedchain")
    run(*install, folder=tmp_path)
    (tmp_path / "script.py").write_text(
        "import fedchain\nfrom fedchain.scenario.shipped import shipped_files\n"
        "print(fedchain.__version__, 'first_light' in str(shipped_files()))\n"
    )
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    libraries = Path(run(python, "-c", find, folder=tmp_path).strip())
    (libraries / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(borrowed)))
    assert run(python, "script.py", folder=tmp_path) == f"{fedchain.__version__} True\n"


def test_the_wheel_has_the_scenarios_and_nothing_of_the_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "fedchain/scans/training/shipped.npz" in names
    assert {f"fedchain/surfaces/shipped/{name}.npz" for name in ("refine", "pu_net")} <= set(names)
    files = {path.relative_to(HOME / "scenarios") for path in (HOME / "scenarios").glob("**/*.*")}
    wanted = {path.as_posix() for path in files if path.suffix in {".yaml", ".md", ".py"}}
    shipped = [name for name in names if name.startswith("fedchain/shipped/")]
    assert {name.removeprefix("fedchain/shipped/") for name in shipped} == wanted
    assert {name.partition("/")[0] for name in names} == {
        "fedchain",
        f"fedchain-{fedchain.__version__}.dist-info",
    }


@pytest.mark.skipif(not shutil.which("gcc"), reason="GCC is absent")
def test_the_wheel_has_every_build_of_the_kernels_and_no_source_of_them(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    native = {name.removeprefix("fedchain/native/") for name in names if "/native/" in name}
    builds = BUILDS if platform.machine().lower() in ("x86_64", "amd64") else BUILDS[:1]
    assert {name.partition(".")[0] for name in native if name.endswith(".so")} == set(builds)
    assert not [name for name in native if name.endswith((".c", ".h"))]


def test_without_a_compiler_the_package_is_built_and_says_what_is_missing(
    built, tmp_path, monkeypatch
):
    (file,) = built.glob("*.tar.gz")
    monkeypatch.setenv("CC", "no-such-compiler")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    run(*pip, "--wheel-dir", tmp_path / "made", file, folder=tmp_path)
    (wheel,) = (tmp_path / "made").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "there")
    assert not list(tmp_path.glob("there/**/*.so"))
    code = "from fedchain.native.loading import absence, library; print(library(), absence())"
    said = run(sys.executable, "-c", code, folder=tmp_path / "there")
    assert said.startswith("None they are not compiled")
    assert "install GCC or clang" in said
    run(sys.executable, "-m", "fedchain", "run", "breast_cancer", folder=tmp_path / "there")


def test_the_page_of_the_package_needs_no_file_beside_it(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    metadata = archive.read(name).decode()
    assert "fedchain run first_light" in metadata
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", metadata) == []
    assert f"\nVersion: {fedchain.__version__}\n" in metadata


def test_the_commands_of_the_readme_run_from_an_empty_folder(programs, tmp_path):
    lines = [line for _, block in BLOCKS for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("fedchain ")]
    assert {"fedchain run first_light", "fedchain verify damaged"} <= set(commands)
    for command in commands:
        code = 5 if command == "fedchain verify damaged" else 0
        run("sh", "-c", command, folder=tmp_path, path=programs, code=code)
    assert list(tmp_path.glob("runs/first-light-*/report.html"))
    for command in ("run breast_cancer", "export runs/breast-cancer-* -o one.fedchain"):
        run("sh", "-c", f"fedchain {command}", folder=tmp_path, path=programs)
    lesson = ("-m", "fedchain.shipped.lessons.verify_chain", "one.fedchain")
    assert "ok" in run(programs / "python", *lesson, folder=tmp_path).lower()


def test_the_python_of_the_readme_runs_from_an_empty_folder(programs, tmp_path):
    (code,) = [block for language, block in BLOCKS if language == "python"]
    assert run(programs / "python", "-c", code, folder=tmp_path).strip().endswith("True")


def test_all_examples_of_the_help_run_one_after_the_other(programs, tmp_path):
    for example in examples().values():
        run("sh", "-c", f"fedchain {example}", folder=tmp_path, path=programs)
    assert (tmp_path / "fedchain.schema.json").stat().st_size > 1000


def test_the_tests_of_the_source_archive_are_all_there_and_pass(built, tmp_path):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long")
    run(*pytest_, "--collect-only", folder=source)
    run(*pytest_, *PARTS, folder=source)
