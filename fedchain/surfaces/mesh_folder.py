"""Folders of scans to folders of meshes: one a scan, or one a turntable; can be interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from fedchain.errors import DataError
from fedchain.registry import Section
from fedchain.scans.formats import read_any
from fedchain.scans.formats.meshes import write_mesh
from fedchain.scans.scan import Cloud, Scan, bounding_box
from fedchain.scans.training.folders import (
    FileSet,
    ScanFolder,
    digest_of,
    list_folder,
    stem_of,
)
from fedchain.scans.training.journal import Result, ResultJournal, open_results, work_through
from fedchain.scans.turntable import ScanSet, read_set
from fedchain.surfaces.merging import cloud_of_scan, merged_scans
from fedchain.surfaces.reconstruction import DEPTH, SurfaceMethod, method_of, reconstruct
from fedchain.surfaces.trimming import mean_distance

MESH_JOURNAL = "reconstructed.json"
"""Name of the file that ``reconstruct_folder`` writes into its folder."""
MERGED = "merged"
"""Name of the mesh of a set."""
MeshEnding = Literal[".ply", ".stl", ".obj", ".off"]
"""Ending of the names of mesh files."""


@dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """How the scans of a folder become meshes."""

    method: SurfaceMethod = "auto"
    """How a surface is found."""
    merge: bool | None = None
    """True: all organised scans of a set become one mesh; False: each scan becomes its own; None:
    the scans of a set whose cameras are known become one."""
    refine: bool = True
    """Whether merged scans are first moved onto each other."""
    depth: int = DEPTH
    """Depth of the octree; see ``reconstruct``."""
    farthest_m: float | None = None
    """Distance from the points from which a mesh is cut off, in metres; None: 6 spacings."""
    ending: MeshEnding = ".ply"
    """Format of the meshes."""

    def words(self) -> str:
        """Return the settings in words, by which a journal tells them from others."""
        merge = {None: "merge by cameras", True: "merge", False: "no merge"}[self.merge]
        cut = "6 spacings" if self.farthest_m is None else f"{1000 * self.farthest_m:g} mm"
        poses = "refined" if self.refine else "stored"
        method = method_of(self.method)
        return f"{method}, depth {self.depth}, cut at {cut}, {merge}, {poses} poses, {self.ending}"


class Reconstructed(Section):
    """One mesh that was made."""

    name: str
    """Name of the mesh: that of its scan, or ``merged`` below the folder of its scans."""
    mesh: str
    """Path of the mesh, below the folder of meshes."""
    scans: int
    """Number of scans that it is made of."""
    points: int
    """Points that it is made of, after thinning."""
    vertices: int
    """Number of vertices."""
    triangles: int
    """Number of triangles."""
    mean_distance_m: float
    """Mean distance of the vertices to the nearest points, in metres."""
    refused: dict[str, str]
    """Why a scan was not moved onto the others and is merged in its stored pose, by its name."""


@dataclass(frozen=True)
class ReconstructedFolder:
    """What became of the scans of a folder."""

    folder: ScanFolder
    """What was read and left out."""
    method: Literal["poisson", "marching"]
    """How the surfaces were found."""
    meshes: tuple[Reconstructed, ...]
    """The meshes."""
    before: frozenset[str]
    """Names of the meshes that an earlier call had made."""
    apart: Mapping[str, str]
    """Reason why a scan is not merged with the other scans of its set, by its name."""
    failed: Mapping[str, str]
    """Reason why a scan or a set has no mesh, by its name."""


@dataclass(frozen=True, eq=False)
class MeshSource:
    """The files of one mesh."""

    name: str
    """Name of the mesh: its path below the folder, without ending."""
    paths: Mapping[str, Path]
    """The files by the names of their scans: several are merged."""
    opened: OpenFiles
    """The set of the files."""

    def source(self) -> str:
        """Return a digest of the names and bytes of the files.

        Raises:
            DataError: a file cannot be read.
        """
        whole = hashlib.sha256()
        for name, path in self.paths.items():
            whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + digest_of(path))
        return whole.hexdigest()


@dataclass(frozen=True, eq=False)
class OpenFiles:
    """A set of scans that is ready to be read."""

    names: Mapping[str, Path]
    """The files by the names of their scans."""

    @classmethod
    def of(cls, files: FileSet, folder: Path) -> OpenFiles:
        """Return the scans of a set; cleaned scans without an original are scans, too."""
        names = {scan.name: scan.path for scan in files.scans}
        for path in files.cleaned:
            own = (path.relative_to(folder).parent / stem_of(path)).as_posix()
            names[own if own not in names else path.relative_to(folder).as_posix()] = path
        return cls(names)

    @cached_property
    def turntable(self) -> ScanSet:
        """The cameras of the set."""
        return read_set(list(self.names.values()))

    def read(self, path: Path) -> Scan | Cloud:
        """Read a scan within the box of its points, on the grid of its camera if this is known.

        Raises:
            DataError: the file cannot be read.
        """
        known = path in self.turntable.cameras
        read = self.turntable.member(path).scan if known else read_any(path)
        return read if isinstance(read, Cloud) else read.part(bounding_box(read.valid))

    def merged_names(self, merge: bool | None) -> list[str]:
        """Return the names of the scans that become one mesh; see ``MeshSettings.merge``."""
        if merge is False:
            return []
        if merge is None:
            return [name for name, path in self.names.items() if path in self.turntable.cameras]
        return [name for name, path in self.names.items() if self._has_grid(path)]

    def _has_grid(self, path: Path) -> bool:
        """Return whether a scan has a grid; a file that cannot be read is named in its turn."""
        try:
            return path in self.turntable.cameras or isinstance(read_any(path), Scan)
        except DataError:
            return False


def reconstruct_folder(
    folder: Path,
    out: Path,
    settings: MeshSettings | None = None,
    *,
    force: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> ReconstructedFolder:
    """Write a mesh of every scan of a folder, or one of each set of scans of one turntable.

    A scan NAME becomes NAME.ply below ``out``; a set becomes merged.ply in its folder there. A
    folder that ``filter_folder`` has written is read as it is. A cleaned scan (clean_X) beside its
    original is the truth and no scan; without an original it is a scan as others. Meshes that an
    earlier call has made of the same files and settings are skipped, so an interrupted call can be
    repeated. A scan that fails is left out of its set, and does not stop the others.

    Args:
        folder: the folder with the scans.
        out: the folder of meshes.
        settings: how the scans become meshes; None for the defaults.
        force: replace meshes of other scans or settings.
        progress: called with the meshes done, all meshes, and the current mesh.

    Raises:
        DataError: the folder holds no scan.
        RunRefused: ``out`` has meshes of other settings.
        MissingExtra: a package that the settings need is not installed.
    """
    wanted = settings or MeshSettings()
    listed = list_folder(folder, without=out, results=True)
    journal = open_results(out / MESH_JOURNAL, wanted.words(), force=force)
    sources = list(_sources(listed, wanted.merge))

    def make(own: MeshSource, source: str) -> Result:
        return _make(own, source, wanted, journal)

    worked = work_through(sources, journal, MeshSource.source, make, progress)
    apart = {name: why for own in sources for name, why in _apart(own, sources).items()}
    return ReconstructedFolder(
        folder=listed,
        method=method_of(wanted.method),
        meshes=tuple(each.measured(Reconstructed) for each in worked.results),
        before=worked.before,
        apart={name: why for name, why in apart.items() if name not in worked.failed},
        failed=worked.failed,
    )


def _sources(listed: ScanFolder, merge: bool | None) -> Iterator[MeshSource]:
    """Yield the meshes to make: of each set the merged one, then those of the other scans."""
    for each in listed.sets:
        opened = OpenFiles.of(each, listed.path)
        merged = opened.merged_names(merge)
        if len(merged) > 1:
            yield MeshSource(
                free_name(opened, listed.path),
                {name: opened.names[name] for name in merged},
                opened,
            )
        for name, path in opened.names.items():
            if len(merged) < 2 or name not in merged:
                yield MeshSource(name, {name: path}, opened)


def _apart(own: MeshSource, sources: Sequence[MeshSource]) -> dict[str, str]:
    """Return why the only scan of a mesh is not merged with others of its set, by its name."""
    merged = any(len(each.paths) > 1 and each.opened is own.opened for each in sources)
    if not merged or len(own.paths) > 1:
        return {}
    return {own.name: own.opened.turntable.left_out[own.paths[own.name]]}


def free_name(opened: OpenFiles, folder: Path) -> str:
    """Return the name of the mesh of a set, in its folder, which no scan of the set has."""
    own = [path.relative_to(folder).parts[:-1] for path in opened.names.values()]
    place = () if () in own else own[0][:1]
    name = "/".join((*place, MERGED))
    while name in opened.names:
        name += "_"
    return name


def _make(own: MeshSource, source: str, settings: MeshSettings, journal: ResultJournal) -> Result:
    """Make one mesh and write it."""
    cloud, refused = cloud_of_source(own, settings.refine)
    mesh = reconstruct(
        cloud, method=settings.method, depth=settings.depth, farthest=settings.farthest_m
    )
    file = own.name + settings.ending
    journal.begin(own.name, (file,))
    write_mesh(journal.out / file, mesh)
    made = Reconstructed(
        name=own.name, mesh=file, scans=len(own.paths), points=len(cloud.points),
        vertices=len(mesh.vertices), triangles=len(mesh.faces),
        mean_distance_m=mean_distance(mesh, cloud.points), refused=dict(refused),
    )  # fmt: skip
    figures = made.model_dump(mode="json")
    return Result(name=own.name, source=source, files=(file,), figures=figures)


def cloud_of_source(own: MeshSource, refine: bool) -> tuple[Cloud, Mapping[str, str]]:
    """Return the points of a mesh's scans, and why scans were not moved, by their names.

    Raises:
        DataError: a file cannot be read.
        MissingExtra: small_gicp, which refines, is not installed.
    """
    read = {name: own.opened.read(path) for name, path in own.paths.items()}
    if len(read) == 1:
        (only,) = read.values()
        return (only if isinstance(only, Cloud) else cloud_of_scan(only)), {}
    merged = merged_scans(
        {name: scan for name, scan in read.items() if isinstance(scan, Scan)}, refine=refine
    )
    return merged.cloud, merged.refused
