"""Code of user-defined parts: finds the source files that a part comes from, and hashes them."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from fedchain.errors import PartError
from fedchain.files import hash_of_file

LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
"""Folders of installed packages, by their names in ``sysconfig``."""
_loaded: dict[str, tuple[object, str]] = {}
"""Spec of each module that was seen, and the hash of its file at that time. Python makes a new spec
when it imports a module again."""


@dataclass(frozen=True)
class _Home:
    """Where the modules of one user lie."""

    root: Path
    """Folder above the top-level package or module."""
    package: str | None
    """Name of the only package that is the user's own; None: everything in the folder is."""


def own_code(kind: str) -> dict[str, str]:
    """Return the SHA-256 of every source file that a part comes from, by the module's name.

    These are the file of the part's module, the packages around it, and all modules of the user
    that these import, directly or through others. Modules of the user lie in the same folder, or in
    the same package if this is an installed package. What Python itself, other packages and
    fedchain contain is left out.

    Args:
        kind: the part as ``module:function``; its module is imported if it was not yet.

    Raises:
        PartError: a file was changed after this process had imported it, or there is no source.
    """
    name, _, function = kind.partition(":")
    module = own_module(name)
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        return {name: _hash_of_function(kind, module, function)}
    return {each: _checked(each, path) for each, path in own_files(name, Path(file)).items()}


def own_module(name: str) -> ModuleType:
    """Import a user's module, also from the current folder, and remember how its sources are now.

    Any error of the module itself is raised as it is.
    """
    if name in sys.modules:
        return sys.modules[name]
    # Only a user-defined part may be in the current folder: a file there can replace a missing
    # package. So the folder comes after all others.
    folder = os.getcwd()  # noqa: PTH109 - sys.path holds text
    if folder not in sys.path:
        sys.path.append(folder)
    module = importlib.import_module(name)
    file = getattr(module, "__file__", None)
    if file is not None and Path(file).is_file():
        for each, path in own_files(name, Path(file)).items():
            _checked(each, path)
    return module


def own_files(name: str, file: Path) -> dict[str, Path]:
    """Return the files of a module and of the user's own modules that it imports, by module name.

    Args:
        name: name of the module: ``my_lab.rules``.
        file: its file.
    """
    found, waiting = {name: file}, [name]
    home = _home_of(name, file)
    while waiting:
        module = waiting.pop()
        for needed in (*_around(module), *_imports(module, found[module])):
            path = None if needed in found else _file_of(needed, home)
            if path is not None:
                found[needed] = path
                waiting.append(needed)
    return dict(sorted(found.items()))


def _checked(name: str, path: Path) -> str:
    """Return the hash of a module's file; refuse a file that is not what Python has imported."""
    digest = hash_of_file(path)
    module = sys.modules.get(name)
    if module is None:  # a function of the part will import it
        return digest
    spec, first = _loaded.get(name, (None, ""))
    if spec is not module.__spec__ or not first:
        _loaded[name] = module.__spec__, digest
    elif first != digest:
        raise PartError(
            f"{path}: was changed after this process had imported it, and would run as it was; "
            "start Python again, or importlib.reload the module"
        )
    return digest


def _hash_of_function(kind: str, module: ModuleType, function: str) -> str:
    """Return the hash of a function whose module has no file, such as a cell of a notebook."""
    try:
        source = inspect.getsource(getattr(module, function))
    except (OSError, TypeError) as error:
        raise PartError(
            f"{kind}: has no source that can be read, so nobody could tell whether a finished run "
            "is still up to date; write the function into a file"
        ) from error
    return sha256(source.encode(errors="surrogatepass")).hexdigest()


def _home_of(name: str, file: Path) -> _Home:
    depth = name.count(".") + (file.stem == "__init__")
    root = file.parents[depth]
    places = (Path(sysconfig.get_paths()[place]) for place in LIBRARIES)
    installed = any(root.is_relative_to(place) for place in places)
    return _Home(root, name.partition(".")[0] if installed else None)


def _around(module: str) -> Iterator[str]:
    """Yield the packages around a module, which Python imports before it."""
    while module := module.rpartition(".")[0]:
        yield module


def _imports(module: str, file: Path) -> Iterator[str]:
    """Yield the names of modules that the import statements of a file may mean."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # Python has not imported it yet, and will refuse it
        return
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from (alias.name, *_around(alias.name))
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(filter(None, [*(above if node.level else ()), node.module]))
            yield from (base, *_around(base), *(f"{base}.{alias.name}" for alias in node.names))


def _file_of(module: str, home: _Home) -> Path | None:
    """Return the file of a module among the user's own; None if it is not one of them."""
    top = module.partition(".")[0]
    if not top or top == "fedchain" or home.package not in (None, top):
        return None
    place = home.root.joinpath(*module.split("."))
    for suffix in importlib.machinery.all_suffixes():
        for path in (place / f"__init__{suffix}", place.with_name(place.name + suffix)):
            if path.is_file():
                return path
    return None
