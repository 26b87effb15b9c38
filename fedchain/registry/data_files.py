"""Data files: the files that a part reads, which its parameter ``path`` names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedchain.files import hash_of_file
from fedchain.registry.families import Family
from fedchain.registry.parts import Part
from fedchain.registry.signatures import parameters

PATH = "path"
"""Name of the parameter that says where a part's data lie: in a file, or in the files of a folder.
Relative paths are resolved against the folder of the scenario."""
NO_DATA = frozenset({"resolved.yaml", "sweep.json"})
"""Names of files that only folders of runs and sweeps have, which are results and no data."""


@dataclass(frozen=True)
class Matching:
    """Annotation of a ``path`` whose folder has other files too.

    The part reads only the files whose names below the folder match the patterns in the given
    parameters: ``path: Annotated[str, Matching("dirty", "clean")]``.
    """

    names: tuple[str, ...]
    """Names of the parameters, each of which has a pattern, a list of patterns, or None."""

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


def data_of(part: Part, family: Family[Any]) -> tuple[str, tuple[str, ...] | None] | None:
    """Return a part's path and the patterns of the files that it reads there.

    Returns:
        None if the part has no path. No patterns (None) if the part reads every file of the folder.
    """
    path = part.parameters.get(PATH)
    if not isinstance(path, str):
        return None
    annotation = parameters(family.find(part.kind))[PATH].annotation
    marks = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Matching)]
    if not marks:
        return path, None
    given = (part.parameters[name] for mark in marks for name in mark.names)
    return path, tuple(sorted({pattern for each in given for pattern in _listed(each)}))


def hash_of_data(path: str, patterns: Iterable[str] | None = None) -> str:
    """Return a hash of the content of a file, or of names and contents of files in a folder.

    Args:
        path: the file or the folder.
        patterns: patterns of the files below the folder; None: every file at any depth, except
            hidden files and the folders of runs and sweeps.

    Returns:
        64 hexadecimal digits, or an empty text if there is nothing that can be read.
    """
    place = Path(path)
    try:
        if place.is_file():
            return hash_of_file(place)
        if not place.is_dir():
            return ""
        found = set(_every_file(place)) if patterns is None else _matching(place, patterns)
        whole = sha256(b"fedchain:files")
        for file in sorted(found):
            name = os.fsencode(file.relative_to(place).as_posix())
            whole.update(b"%d:%s:%s|" % (len(name), name, hash_of_file(file).encode()))
    except OSError:  # the part itself will say why it cannot read its data
        return ""
    return whole.hexdigest()


def _matching(folder: Path, patterns: Iterable[str]) -> set[Path]:
    found = set[Path]()
    for pattern in patterns:
        try:
            found.update(file for file in folder.glob(pattern) if file.is_file())
        except (ValueError, NotImplementedError):  # the part refuses such a pattern
            continue
    return found


def _every_file(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        if not NO_DATA.isdisjoint(files):
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "."]
        yield from (Path(place, name) for name in files if name[0] != ".")


def _listed(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return [] if value is None else [str(value)]
