"""Records: how scans are processed, and what each stage changed in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fedchain.registry import Section
from fedchain.scans.training.folders import ScanFolder, digest_of
from fedchain.surfaces.model_file import SHIPPED_MODELS
from fedchain.surfaces.reconstruction import DEPTH, SurfaceMethod, method_of
from fedchain.surfaces.upsampling import Factor, UpsamplingMethod
from fedchain.version import __version__

StageName = Literal["filter", "merge", "upsample", "reconstruct"]
FailedStage = Literal["read", "filter", "merge", "upsample", "reconstruct", "pictures"]
"""A stage, or ``read``: the scans of a set are others than those of its results; or ``pictures``:
what the page shows of a scan."""
PROCESS_VERSION = 1
"""Version of the stages. Increase it with every change after which the same scans and settings give
other files."""
AtLeastZero = Annotated[int, Field(ge=0)]
Length = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """How the scans of a folder become surfaces."""

    model: str
    """What tells models that filter apart, such as the digest of the model file."""
    even_unlike: bool = False
    """Whether points of scans that are unlike the training scans are erased, too."""
    refine: bool = True
    """Whether merged scans are first moved onto each other."""
    upsample: Factor | None = None
    """Points for one point of a filtered cloud; None leaves the clouds as they are."""
    upsampling: UpsamplingMethod = "refine"
    """How points are added."""
    upsampling_model: Path | None = None
    """The model file by which points are added; None: the one that fedchain ships."""
    surface: SurfaceMethod = "auto"
    """How a surface is found."""
    depth: int = DEPTH
    """Depth of the octree of a surface; see ``reconstruct``."""

    def words(self) -> str:
        """Return all that the files depend on beside the scans, in words.

        Raises:
            DataError: the model file by which points are added cannot be read.
        """
        erased = "unlike scans erased" if self.even_unlike else "unlike scans kept whole"
        denser = "not denser"
        if self.upsample:
            file = self.upsampling_model or SHIPPED_MODELS / f"{self.upsampling}.npz"
            model = "" if self.upsampling == "midpoints" else f" ({digest_of(file).hex()[:16]})"
            denser = f"x{self.upsample} by {self.upsampling}{model}"
        poses = "refined poses" if self.refine else "stored poses"
        surface = f"{method_of(self.surface)} of depth {self.depth}"
        version = f"fedchain {__version__}, stages {PROCESS_VERSION}"
        return f"{version}, model {self.model[:16]}, {erased}, {poses}, {denser}, {surface}"


class StageChange(Section):
    """What one stage made of one scan, or of the merged scans of a set."""

    name: str
    """Name of the scan, or of the merged scans of a set."""
    stage: StageName
    """The stage."""
    file: str
    """The file that the stage wrote for the next one: its path below the folder of results."""
    before: AtLeastZero
    """Points that the stage was given."""
    after: AtLeastZero | None = None
    """Points that it gave; None for a surface."""
    spacing_before_m: Length | None = None
    """Spacing of the points that it was given, in metres; see ``spacing_of``."""
    spacing_m: Length | None = None
    """Spacing of the points that it gave, in metres; None for a surface."""
    vertices: AtLeastZero | None = None
    """Vertices of the surface."""
    triangles: AtLeastZero | None = None
    """Triangles of the surface."""
    distance_m: Length | None = None
    """Mean distance of the vertices to the nearest of the points that the stage was given, in
    metres."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, in words."""

    @property
    def erased(self) -> float | None:
        """Share of the points that the stage erased; negative if it added points.

        >>> StageChange(name="a", stage="filter", file="a.ply", before=8, after=6).erased
        0.25
        """
        return None if self.after is None else 1 - self.after / max(self.before, 1)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A stage that could not be done."""

    name: str
    """Name of the scan, or of the merged scans of a set."""
    stage: FailedStage
    """The stage."""
    reason: str
    """Why, in words."""


class Joined(Section):
    """Which scans of a set become one surface."""

    name: str
    """Name of the merged scans; empty if none are merged."""
    merged: tuple[str, ...]
    """Names of the scans that are merged."""
    alone: dict[str, str]
    """Why a scan has a surface of its own, by its name."""
    change: StageChange | None
    """What merging made of the points; None if no scans are merged."""


@dataclass(frozen=True, kw_only=True)
class ProcessedSet:
    """What became of one set of scans."""

    name: str
    """Name of the set: its sub-folder, or empty for the whole folder."""
    scans: tuple[str, ...]
    """Names of its scans, in alphabetical order."""
    joined: Joined | None = None
    """Which scans are merged; None if that could not be found out."""
    changes: tuple[StageChange, ...] = ()
    """What the stages changed, stage by stage."""
    pictures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Files of pictures by the name of the scan, in the order of ``PANEL_NAMES``."""

    def surface_of(self, scan: str) -> str:
        """Return the name of the surface that a scan belongs to."""
        merged = self.joined is not None and scan in self.joined.merged
        return self.joined.name if self.joined is not None and merged else scan


@dataclass(frozen=True, kw_only=True)
class Processed:
    """What became of the scans of a folder."""

    folder: ScanFolder
    """What was read and left out."""
    settings: ProcessSettings
    """How the scans were processed."""
    sets: tuple[ProcessedSet, ...]
    """The sets of scans."""
    failures: tuple[Failure, ...]
    """What could not be done."""
    before: int
    """Number of results that an earlier call had made."""
    made: int
    """Number of results that this call has made."""

    @property
    def changes(self) -> tuple[StageChange, ...]:
        """What the stages changed, set by set."""
        return tuple(change for each in self.sets for change in each.changes)


PANEL_NAMES = ("original", "kept", "denser", "surface")
"""What the pictures of a scan show, in the order of the page."""
