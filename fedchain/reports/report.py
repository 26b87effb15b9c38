"""Report: writes figures, tables and a page for runs and sweeps."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from fedchain.errors import NothingYet
from fedchain.files import check_folder, write_output, write_whole
from fedchain.reports.curves import PARQUET, curve_files, parquet_packages
from fedchain.reports.figures import FIGURE_KINDS, USUAL_KINDS, draw
from fedchain.reports.figures.paper import Paper
from fedchain.reports.figures.style import render, styled
from fedchain.reports.opening import open_study
from fedchain.reports.page import REPLAY, Attacked, StudyReport, page
from fedchain.reports.stale import remove_stale
from fedchain.reports.study import Study
from fedchain.reports.table import TABLE_KINDS, write_table
from fedchain.reports.tables import tabulate
from fedchain.reports.words import idle_labels
from fedchain.results.findings import AUDIT


def report(
    paths: Iterable[str | Path],
    figures: Sequence[str] = USUAL_KINDS,
    tables: Sequence[str] = TABLE_KINDS,
    html: str | Path | None = None,
    trust_user_parts: bool = False,
    left_out: Callable[[str], None] | None = None,
    paper: Paper | None = None,
) -> list[Path]:
    """Write the figures, tables and HTML page of runs and sweeps.

    Each folder gets ``figures/``, ``tables/`` and ``report.html``. What an earlier report wrote
    there is removed if this one does not write it again.

    Args:
        paths: run folders and sweep folders.
        figures: kinds of figure files, any of ``pdf``, ``svg``, ``png``, ``eps``.
        tables: kinds of table files, any of ``csv``, ``md``, ``tex``, ``parquet``; the last one
            holds only the rounds of sweeps.
        html: file of one common page for all folders; None: a page in each folder.
        trust_user_parts: whether to import user-defined audits that ``audit.json`` names.
        left_out: a function that is called with a message for each folder without results, and for
            each label that names nothing; None: a folder without results is an error.
        paper: the width and the letters of figures; None: as ``Paper()``.

    Returns:
        The files written, in order.

    Raises:
        RunError: a folder is neither a run nor a sweep, or cannot be written; or no folder has
            results.
        MissingExtra: Parquet is asked for, and pyarrow is not installed.
        PartError: the figure of a user-defined audit fails.
        ValueError: a kind of file is not known.
    """
    for kinds, known in ((figures, FIGURE_KINDS), (tables, (*TABLE_KINDS, PARQUET))):
        unknown = sorted(set(kinds) - set(known))
        if unknown:
            raise ValueError(f"no files of kind {unknown[0]!r}; allowed: {', '.join(known)}")
    if PARQUET in tables:
        parquet_packages()
    studies = _open(paths, left_out)
    for study in studies:
        check_folder(study.folder, own=True)
    if left_out is not None:
        for study in studies:
            for name in idle_labels(study):
                left_out(f"{study.folder}: labels: nothing here is called {name!r}")
    with styled(paper):
        findings = [_find(study, trust_user_parts, beside=html is None) for study in studies]
    written = []
    for file, content in _files(findings, figures, tables, html):
        (write_output if html is not None and file == Path(html) else write_whole)(file, content)
        written.append(file)
    for study in studies:
        remove_stale(study.folder, written)
    return written


def _open(paths: Iterable[str | Path], left_out: Callable[[str], None] | None) -> list[Study]:
    """Open every folder, and pass a message to ``left_out`` for each folder without results."""
    studies, early = list[Study](), list[NothingYet]()
    for path in paths:
        try:
            studies.append(open_study(Path(path)))
        except NothingYet as error:
            early.append(error)
    for each in early:
        if left_out is None or not studies:
            raise each
        left_out(str(each))
    return studies


def _find(study: Study, trust_user_parts: bool, *, beside: bool) -> StudyReport:
    """Collect what a study's page shows; ``beside`` says whether it lies in the study's folder."""
    attacked = Attacked((), (), ())
    if study.kind == "run" and (study.folder / AUDIT).exists():
        # Audits import reports and load torch, so reports import audits by name, and only then.
        audits = importlib.import_module("fedchain.audits.statement")
        attacked = audits.read_attacked(study.folder, trust_user_parts)
    replay = beside and (study.folder / REPLAY).is_file()
    return StudyReport(study, tuple(draw(study)), tuple(tabulate(study)), attacked, replay)


def _files(
    studies: Sequence[StudyReport],
    figures: Sequence[str],
    tables: Sequence[str],
    html: str | Path | None,
) -> Iterator[tuple[Path, str | bytes]]:
    """Yield each file's path and content: figures and tables of every study, then the pages."""
    for found in studies:
        for drawn, kind in product((*found.drawings, *found.attacked.drawings), figures):
            yield found.study.folder / "figures" / f"{drawn.name}.{kind}", render(drawn, kind)
        shown = [kind for kind in tables if kind in TABLE_KINDS]
        for table, kind in product((*found.tables, *found.attacked.tables), shown):
            yield found.study.folder / "tables" / f"{table.name}.{kind}", write_table(table, kind)
        for name, content in curve_files(found.study, tuple(tables)):
            yield found.study.folder / "tables" / name, content
    if html is not None:
        yield Path(html), page(studies)
    else:
        yield from ((found.study.folder / "report.html", page([found])) for found in studies)
