"""One set of scans: its stages, one after the other, from the scans to surfaces and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from fedchain.errors import DataError
from fedchain.registry import Section
from fedchain.scans.training.folders import FileSet, ScanFile, ScanFolder
from fedchain.scans.training.images import OpenSet
from fedchain.scans.training.journal import Result
from fedchain.scans.training.model_file import TrainedModel
from fedchain.surfaces.mesh_folder import OpenFiles, free_name
from fedchain.surfaces.process.panels import PanelReader, panels_stage
from fedchain.surfaces.process.records import (
    Joined,
    ProcessedSet,
    ProcessSettings,
    StageChange,
    StageName,
)
from fedchain.surfaces.process.stages import (
    filter_stage,
    mask_file,
    merge_stage,
    reconstruct_stage,
    upsample_stage,
)
from fedchain.surfaces.process.work import StageOutput, StageWork, digest_of_inputs


class Inputs(Section):
    """The files of a set, by which its results are told from those of other scans."""

    digests: dict[str, str]
    """SHA-256 digest of each file in hexadecimal digits, by its path below the folder of scans;
    empty for a file that cannot be read."""


@dataclass(frozen=True, eq=False)
class SetWork:
    """The work on one set of scans."""

    listed: ScanFolder
    """The folder with all sets."""
    files: FileSet
    """The files of the set."""
    trained: TrainedModel
    """The model that filters."""
    settings: ProcessSettings
    """How the scans are processed."""
    work: StageWork
    """What is finished, and what fails."""
    tell: Callable[[float, str], None]
    """Called with the share of the set's work that is done, and the current work."""

    @cached_property
    def name(self) -> str:
        """Name of the merged scans: ``turntable_00/merged``."""
        return free_name(OpenFiles({s.name: s.path for s in self.files.scans}), self.listed.path)

    @cached_property
    def opened(self) -> OpenSet:
        """The set, ready for filtering."""
        return OpenSet.for_model(self.files, self.trained.card)

    @cached_property
    def paths(self) -> Mapping[str, Path]:
        """The files that filtering may read, by their paths below the folder of scans."""
        return {path.relative_to(self.listed.path).as_posix(): path for path in self.files.views}

    @cached_property
    def readable(self) -> Mapping[str, Path]:
        """Those of the files whose bytes can be read."""
        return {key: self.paths[key] for key, digest in self.inputs.digests.items() if digest}

    @cached_property
    def inputs(self) -> Inputs:
        """The digests of the files."""
        digests = dict[str, str]()
        for key, path in self.paths.items():
            try:
                digests[key] = self.work.digest(path)
            except DataError:  # it is named when it is filtered
                digests[key] = ""
        return Inputs(digests=digests)

    def process(self) -> ProcessedSet:
        """Do all stages, as far as they are not finished, and return what became of the scans."""
        place, names = self.name.rpartition("/")[0], tuple(scan.name for scan in self.files.scans)
        if not self._is_unchanged():
            return ProcessedSet(name=place, scans=names)
        kept = self._filter()
        joined = self._merge(kept)
        points = {} if joined is None else self._points(kept, joined)
        changes = [*kept.values(), *([joined.change] if joined and joined.change else ())]
        if self.settings.upsample:
            denser = self._each("upsample", 0.5, points, upsample_stage)
            changes += denser.values()
            points = {each.name: self.work.out / each.file for each in denser.values()}
        surfaces = self._each("reconstruct", 0.6, points, reconstruct_stage)
        changes += surfaces.values()
        done = ProcessedSet(name=place, scans=names, joined=joined, changes=tuple(changes))
        return self._with_pictures(done)

    def _is_unchanged(self) -> bool:
        """Note the files of the set; return False if results of others are there to be kept."""
        name, journal = f"read/{self.name}", self.work.journal
        known = journal.entries.done.get(name)
        if known is not None and not journal.force:
            then, now = known.measured(Inputs).digests, self.inputs.digests
            changed = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
            if changed:
                more = f" and {len(changed) - 1} more" if changed[1:] else ""
                self.work.fail(
                    "read",
                    self.name,
                    f"{changed[0]}{more}: changed, new or gone since the set was processed; give "
                    "--force to process it again, or another folder",
                )
                return False
        source = digest_of_inputs(self.inputs.digests)
        if known is None or known.source != source:
            figures = self.inputs.model_dump(mode="json")
            journal.end(Result(name=name, source=source, files=(), figures=figures))
        self.work.others.add(name)
        return True

    def _filter(self) -> dict[str, StageChange]:
        """Return what filtering changed, by the name of the scan."""
        found = dict[str, StageChange]()
        for number, file in enumerate(self.files.scans):
            self.tell(0.4 * number / len(self.files.scans), f"filter {file.name}")
            inputs = {**self.readable, "scan": file.path}
            made = partial(self._filtered, file)
            result = self.work.attempt("filter", file.name, inputs, made)
            if result is not None:
                found[file.name] = result.measured(StageChange)
        return found

    def _filtered(self, file: ScanFile) -> StageOutput:
        return filter_stage(file, self.opened, self.trained, self.settings)

    def _merge(self, kept: Mapping[str, StageChange]) -> Joined | None:
        """Return which scans are merged; None if there is none, or merging fails."""
        self.tell(0.4, f"merge {self.name}")
        files = {name: self.work.out / each.file for name, each in kept.items()}
        if not files:
            return None
        made = partial(merge_stage, self.name, files, self.settings)
        result = self.work.attempt("merge", self.name, files, made)
        return None if result is None else result.measured(Joined)

    def _points(self, kept: Mapping[str, StageChange], joined: Joined) -> dict[str, Path]:
        """Return the files of points that become surfaces, by the names of the surfaces."""
        merged = {} if joined.change is None else {joined.name: joined.change}
        alone = {name: kept[name] for name in joined.alone}
        return {name: self.work.out / each.file for name, each in {**merged, **alone}.items()}

    def _each(
        self,
        stage: StageName,
        share: float,
        points: Mapping[str, Path],
        make: Callable[[str, Path, ProcessSettings], StageOutput],
    ) -> dict[str, StageChange]:
        """Return what a stage changed for each surface, by the name of the surface.

        ``share`` is the share of the work that is done before; ``points`` has the inputs.
        """
        found = dict[str, StageChange]()
        for number, (name, path) in enumerate(points.items()):
            self.tell(share + 0.1 * number / len(points), f"{stage} {name}")
            made = partial(make, name, path, self.settings)
            result = self.work.attempt(stage, name, {"points": path}, made)
            if result is not None:
                found[name] = result.measured(StageChange)
        return found

    def _with_pictures(self, done: ProcessedSet) -> ProcessedSet:
        """Return the set with a picture of each stage of each scan that was filtered."""
        changes = {(each.name, each.stage): each for each in done.changes}
        read = PanelReader(lambda path: self.opened.turntable.cameras.get(path))
        pictures = dict[str, tuple[str, ...]]()
        for number, file in enumerate(self.files.scans):
            self.tell(0.8 + 0.2 * number / len(self.files.scans), f"draw {file.name}")
            if (file.name, "filter") not in changes:
                continue
            paths = {"original": file.path, "mask": self.work.out / mask_file(file.name)}
            surface = done.surface_of(file.name)
            if denser := changes.get((surface, "upsample")):
                paths["denser"] = self.work.out / denser.file
            if mesh := changes.get((surface, "reconstruct")):
                paths["surface"] = self.work.out / mesh.file
            made = partial(panels_stage, file.name, paths, read)
            result = self.work.attempt("pictures", file.name, {**self.readable, **paths}, made)
            if result is not None:
                pictures[file.name] = result.files
        return replace(done, pictures=pictures)
