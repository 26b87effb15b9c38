"""Folders of scans: which files are pairs, scans without a truth, and views for other scans."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedchain.errors import DataError, RunRefused
from fedchain.scans.formats import holds_keep
from fedchain.system import is_plain

SCAN_ENDINGS = (".cogs", ".npy", ".npz", ".pcd", ".ply", ".xyz")
"""Endings of the names of files that are read as scans."""
CLEAN = "clean_"
"""Beginning of the names of cleaned scans."""
KEEP = ".keep.npy"
"""Ending of the names of masks that ``filter_folder`` writes."""
NAMED_PAIRS = 12
"""Largest number of pairs that an error names."""
JOURNAL = "filtered.json"
"""Name of the file that ``filter_folder`` writes into its folder."""
JOURNALS = frozenset({JOURNAL, "upsampled.json", "reconstructed.json", "processed.json"})
"""Names of the files that commands write into their folders of results."""


@dataclass(frozen=True)
class ScanFile:
    """One scan of a folder that a model is trained on or filters."""

    path: Path
    """Path of the scan before cleaning."""
    name: str
    """The path below the folder, without the endings: ``turntable/gpu_000``; with them if two files
    of a folder differ in their endings only."""
    truth: Path | None = None
    """Path of the file that says which points remain after cleaning, or None if not known. It is
    ``path`` itself if the file holds a mask ``keep``."""


@dataclass(frozen=True)
class FileSet:
    """Scans of one object, which may serve each other as views."""

    scans: tuple[ScanFile, ...]
    """The scans in alphabetical order of their names."""
    cleaned: tuple[Path, ...] = ()
    """Cleaned scans without an original, which serve as views only."""

    @property
    def views(self) -> tuple[Path, ...]:
        """Paths of all files that may serve as views."""
        return (*(scan.path for scan in self.scans), *self.cleaned)


@dataclass(frozen=True)
class ScanFolder:
    """The scans in a folder and its sub-folders."""

    path: Path
    """The folder."""
    sets: tuple[FileSet, ...]
    """Sets of scans. A folder that holds scans is one set, together with all of its sub-folders;
    otherwise each of its sub-folders is a set."""
    left_out: Mapping[str, str]
    """Reason why a file is not read, by its path below the folder."""

    @property
    def scans(self) -> tuple[ScanFile, ...]:
        """The scans of all sets."""
        return tuple(scan for each in self.sets for scan in each.scans)

    @property
    def pairs(self) -> tuple[ScanFile, ...]:
        """The scans of which the points to keep are known."""
        return tuple(scan for scan in self.scans if scan.truth is not None)

    @property
    def clouds(self) -> tuple[ScanFile, ...]:
        """Every file of the sets, cleaned ones too, in the order of their names."""
        found = defaultdict[Path, set[Path]](set)
        for each in self.sets:
            for path in (*each.views, *(scan.truth for scan in each.scans if scan.truth)):
                found[path.parent].add(path)
        named = (pair for paths in found.values() for pair in _named(self.path, sorted(paths)))
        return tuple(ScanFile(path, name) for path, name in sorted(named, key=lambda pair: pair[1]))

    def only(self, pattern: str) -> ScanFolder:
        """Return the folder in which only pairs whose name matches a shell pattern are pairs.

        The other scans remain as scans without a truth.

        Raises:
            DataError: no pair matches.
        """
        sets = tuple(
            replace(each, scans=tuple(_if_matching(scan, pattern) for scan in each.scans))
            for each in self.sets
        )
        if self.pairs and not any(scan.truth for each in sets for scan in each.scans):
            known = ", ".join(scan.name for scan in self.pairs[:NAMED_PAIRS])
            raise DataError(f"{self.path}: no pair matches {pattern!r}; its pairs are {known}")
        return replace(self, sets=sets)

    def chosen(self, files: Sequence[Path]) -> ScanFolder:
        """Return the folder in which only some scans are to be cleaned; the others are views.

        Raises:
            DataError: a file is no scan of the folder.
        """
        left = {file.resolve() for file in files}
        sets = []
        for each in self.sets:
            own = {scan: scan.path.resolve() for scan in each.scans}
            scans = tuple(scan for scan, path in own.items() if path in left)
            views = tuple(scan.path for scan, path in own.items() if path not in left)
            left -= set(own.values())
            if scans:
                sets.append(FileSet(scans, (*each.cleaned, *views)))
        for file in left:
            raise _no_scan(file)
        return replace(self, sets=tuple(sets))


def _if_matching(scan: ScanFile, pattern: str) -> ScanFile:
    return scan if fnmatch.fnmatchcase(scan.name, pattern) else replace(scan, truth=None)


def files_alone(folder: Path, files: Sequence[Path]) -> ScanFolder:
    """Return some scans of a folder, whose other files are not looked at.

    Raises:
        DataError: a file has not the ending of a scan.
    """
    for file in files:
        if file.suffix.lower() not in SCAN_ENDINGS:
            raise _no_scan(file)
    paths = list(dict.fromkeys(file.resolve() for file in files))
    scans = tuple(ScanFile(path, name) for path, name in _named(folder.resolve(), paths))
    return ScanFolder(folder, (FileSet(scans),), {})


def _no_scan(file: Path) -> DataError:
    return DataError(f"{file}: is no scan; allowed: files that end in {', '.join(SCAN_ENDINGS)}")


def list_folder(folder: Path, without: Path | None = None, *, results: bool = False) -> ScanFolder:
    """List the scans in a folder and its sub-folders; no scan is read.

    A file ``clean_X`` is the truth of the only other file of its folder whose name ends in ``_X``,
    whatever their endings: clean_004.cogs of gpu_004.cogs. A file that holds a mask ``keep`` has
    its own truth. Hidden files, and folders of results (``JOURNALS``), are not read.

    Args:
        folder: the folder.
        without: a folder that is not read, such as the one to write to.
        results: whether ``folder`` may itself be a folder of results, or hold nothing but cleaned
            scans. Its sub-folders of results are not read all the same.

    Raises:
        DataError: the folder does not exist, cannot be read or has no scan, or two files may be the
            original of a cleaned scan.
        RunRefused: ``without`` is the folder itself, where results would replace scans.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give a folder with scans")
    if without is not None and without.resolve() == folder.resolve():
        raise RunRefused(f"{without}: is the folder with the scans; give another folder to write")
    left_out: dict[str, str] = {}
    found = defaultdict[Path, list[Path]](list)
    for path in _files(folder, None if without is None else without.resolve(), results):
        if path.suffix.lower() in SCAN_ENDINGS:
            found[path.parent].append(path)
        else:
            left_out[str(path.relative_to(folder))] = f"ends in {path.suffix!r}, which no scan does"
    groups = defaultdict[Path, list[tuple[ScanFile | Path, ...]]](list)
    for parent in sorted(found):
        own = folder if folder in found else folder / parent.relative_to(folder).parts[0]
        groups[own].append(tuple(_pair(folder, found[parent])))
    sets = tuple(_set_of([each for part in groups[own] for each in part]) for own in sorted(groups))
    if not any(each.scans or (results and each.cleaned) for each in sets):
        allowed = ", ".join(SCAN_ENDINGS)
        raise DataError(f"{folder}: holds no scan; allowed: files that end in {allowed}")
    return ScanFolder(folder, sets, left_out)


def stem_of(path: Path) -> str:
    """Return a file's name without the endings that say what it holds.

    >>> stem_of(Path("gpu_000.xyz.npy")), stem_of(Path("scan.v2.ply"))
    ('gpu_000', 'scan.v2')
    """
    name = path.name
    while (ending := Path(name).suffix).lower() in SCAN_ENDINGS:
        name = name[: -len(ending)]
    return name


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 digest of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _files(folder: Path, without: Path | None, results: bool) -> Iterator[Path]:
    """Yield the files of a folder in alphabetical order, those of sub-folders last."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    plain = [e for e in entries if not e.name.startswith(".") and is_plain(e)]
    if not results and any(entry.name in JOURNALS for entry in plain):
        return
    for entry in plain:
        if entry.is_file() and not entry.name.endswith(KEEP) and entry.name not in JOURNALS:
            yield folder / entry.name
    for entry in plain:
        below = folder / entry.name
        if entry.is_dir() and (without is None or below.resolve() != without):
            yield from _files(below, without, False)


def _pair(folder: Path, files: list[Path]) -> Iterator[ScanFile | Path]:
    """Yield the scans of one folder, and the paths of cleaned scans without an original."""
    cleaned = [path for path in files if path.name.startswith(CLEAN)]
    originals = [path for path in files if not path.name.startswith(CLEAN)]
    truths: dict[Path, Path] = {}
    for path in cleaned:
        ending = stem_of(path).removeprefix(CLEAN[:-1])
        beside = [each for each in originals if stem_of(each).endswith(ending)]
        if len(beside) > 1:
            names = ", ".join(each.name for each in beside)
            raise DataError(f"{path}: may be cleaned from {names}; allowed: one original for each")
        if beside and beside[0] in truths:
            other = truths[beside[0]].name
            raise DataError(f"{path}: is a second cleaned {beside[0].name}, beside {other}")
        if beside:
            truths[beside[0]] = path
        else:
            yield path
    for path, name in _named(folder, originals):
        yield ScanFile(path, name, truths.get(path) or (path if _holds_keep(path) else None))


def _named(folder: Path, paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each file of a folder with the name of its scan."""
    stems = Counter(stem_of(path) for path in paths)
    for path in paths:
        own = stem_of(path) if stems[stem_of(path)] == 1 else path.name
        yield path, (path.relative_to(folder).parent / own).as_posix()


def _set_of(listed: list[ScanFile | Path]) -> FileSet:
    scans = [each for each in listed if isinstance(each, ScanFile)]
    views = [each for each in listed if isinstance(each, Path)]
    return FileSet(tuple(sorted(scans, key=lambda scan: scan.name)), tuple(views))


def _holds_keep(path: Path) -> bool:
    """Return whether a file has a mask; a damaged file has none, and is refused when it is read."""
    try:
        return holds_keep(path)
    except DataError:
        return False
