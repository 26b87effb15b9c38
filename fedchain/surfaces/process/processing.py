"""Processing: all stages for all scans of a folder; an interrupted call can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fedchain.errors import DataError
from fedchain.extras import needed_package
from fedchain.files import write_whole
from fedchain.names import legible
from fedchain.scans.training.folders import ScanFolder, list_folder
from fedchain.scans.training.journal import Result, open_results
from fedchain.scans.training.model_file import TrainedModel
from fedchain.surfaces.process.one_set import SetWork
from fedchain.surfaces.process.page import PAGE, page_of
from fedchain.surfaces.process.records import Processed, ProcessedSet, ProcessSettings
from fedchain.surfaces.process.table import TABLE_FILES, table_file
from fedchain.surfaces.process.work import StageWork
from fedchain.surfaces.reconstruction import method_of
from fedchain.surfaces.upsampling import learned_model

JOURNAL_FILE = "processed.json"
"""Name of the journal in the folder of results."""
PROGRESS_STEPS = 100
"""Steps of the progress in all."""
SUMMARY = "summary"
"""Name of the result that is made of all others: the page and the tables."""


def process_folder(
    folder: Path,
    trained: TrainedModel,
    out: Path,
    settings: ProcessSettings,
    *,
    force: bool = False,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Processed:
    """Filter the scans of a folder, merge those of each turntable, and reconstruct surfaces.

    Scans of a set whose cameras are known become one surface; each other scan has its own. Below
    ``out`` are the kept points of each scan, merged and denser clouds, surfaces and pictures, the
    page ``index.html`` and the tables ``stages.csv`` and ``stages.json``. What an earlier call has
    made of the same scans and settings is kept, so an interrupted call can be repeated: the files
    are the same, byte for byte, as those of a call that was not interrupted. A scan that fails is
    left out of its set, and does not stop the others.

    Args:
        folder: the folder with the scans.
        trained: the model that filters.
        out: the folder of results.
        settings: how the scans are processed; ``settings.model`` names the model.
        force: replace results of other scans or settings.
        progress: called with the steps done, all steps, and the current one.

    Raises:
        DataError: the folder holds no scan, or one whose name is not UTF-8, or the model that adds
            points cannot be read.
        RunRefused: ``out`` has results of other settings, or a file of somebody else.
        MissingExtra: a package that a stage needs is not installed.
        RunError: the disk fails.
    """
    listed = list_folder(folder, without=out)
    _need_text_names(listed)
    _need_parts(listed, settings)
    journal = open_results(out / JOURNAL_FILE, settings.words(), force=force)
    journal.begin(SUMMARY, (PAGE, *TABLE_FILES))
    work = StageWork(folder, journal)
    sets, many = list[ProcessedSet](), len(listed.scans)
    for files in listed.sets:
        if files.scans:
            before, own = sum(len(each.scans) for each in sets), len(files.scans)
            tell = partial(_tell, progress, before / many, own / many)
            sets.append(SetWork(listed, files, trained, settings, work, tell).process())
    done = Processed(
        folder=listed,
        settings=settings,
        sets=tuple(sets),
        failures=tuple(work.failures),
        before=len(work.before),
        made=len(work.made),
    )
    work.others.add(SUMMARY)
    work.remove_unused()
    _summarise(work, done)
    return done


def _tell(
    progress: Callable[[int, int, str], None], before: float, own: float, share: float, now: str
) -> None:
    """Tell the progress of a set, ``own`` of all the work, of which ``share`` is done."""
    progress(round(PROGRESS_STEPS * (before + own * share)), PROGRESS_STEPS, now)


def _need_text_names(listed: ScanFolder) -> None:
    """Raise DataError if the path of a scan is not UTF-8, which the journal is."""
    for path in (path for each in listed.sets for path in each.views):
        below = str(path.relative_to(listed.path))
        if legible(below) != below:
            words = "has a name that is not UTF-8; allowed: rename it"
            raise DataError(f"{listed.path}: {legible(below)}: {words}")


def _need_parts(listed: ScanFolder, settings: ProcessSettings) -> None:
    """Raise an error before all work if a stage needs a package or a model that is not there."""
    if settings.upsample:
        learned_model(settings.upsampling, settings.upsampling_model)
    needed_package("trimesh", "scans", "surfaces")
    if settings.refine and any(len(each.scans) > 1 for each in listed.sets):
        needed_package("small_gicp", "scans", "merged scans")
    if method_of(settings.surface) == "poisson":
        needed_package("open3d", "surfaces", "Poisson reconstruction")
    else:
        needed_package("skimage.measure", "surfaces", "marching cubes")


def _summarise(work: StageWork, done: Processed) -> None:
    """Write the page and the tables, which are made anew by every call."""
    write_whole(work.out / PAGE, page_of(done, work.out))
    for file in TABLE_FILES:
        write_whole(work.out / file, table_file(done, file))
    work.journal.end(Result(name=SUMMARY, source="", files=(PAGE, *TABLE_FILES), figures={}))
