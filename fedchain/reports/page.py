"""Page: shows a study's settings and results, and how to reproduce them, as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedchain.document import document, facts_html, table_html, text_html
from fedchain.errors import RunRefused
from fedchain.files import read_json
from fedchain.names import command
from fedchain.reports.figures.style import Drawing, inlined
from fedchain.reports.findings import finding_of
from fedchain.reports.settings import settings_of
from fedchain.reports.study import Recorded, Study, byzantine_share, capture
from fedchain.reports.table import Table, bold_parts
from fedchain.reports.words import labelled, partial_words

REPLAY = "replay.html"
"""Name of the file with a run's page, beside its report."""


@dataclass(frozen=True)
class Attacked:
    """The findings of a run's audits, as the page shows them."""

    violations: tuple[str, ...]
    """A sentence for each lower bound that exceeds the claimed epsilon."""
    drawings: tuple[Drawing, ...]
    """Figures of the audits."""
    tables: tuple[Table, ...]
    """Tables of the audits."""


@dataclass(frozen=True)
class StudyReport:
    """A study with its figures and tables, as the page shows them."""

    study: Study
    """The run or sweep."""
    drawings: tuple[Drawing, ...]
    """Figures of the study."""
    tables: tuple[Table, ...]
    """Tables of the study. The first one has the final metrics."""
    attacked: Attacked
    """The findings of the run's audits."""
    replay: bool = False
    """Whether ``REPLAY`` lies beside the page."""


def page(findings: Sequence[StudyReport]) -> str:
    """Return the HTML page, which has no scripts and loads no other files."""
    title = ", ".join(dict.fromkeys(found.study.name for found in findings))
    body = "\n".join(
        block for place, found in enumerate(findings) for block in _blocks(found, f"s{place}")
    )
    return document(title, body)


def _blocks(found: StudyReport, prefix: str) -> Iterator[str]:
    study = found.study
    yield f"<h1>{text_html(study.name)}</h1>"
    yield f'<p class="finding">{text_html(finding_of(study))}</p>'
    if description := study.first.manifest["scenario"]["description"]:
        yield f'<p class="lead">{text_html(description)}</p>'
    if lacks := partial_words(study):
        yield f'<p class="lead"><strong>{text_html(lacks)}.</strong></p>'
    if found.replay:
        yield f'<p><a href="{REPLAY}">The same run as a page</a>, round by round.</p>'
    yield facts_html(settings_of(study))
    yield f"<h2>Outcome</h2>{_table(found.tables[0])}"
    if study.unfinished:
        yield _unfinished(study)
    yield _privacy(study)
    if found.attacked.tables:
        yield _audits(found.attacked, f"{prefix}-audit")
    if study.kind == "run":
        yield _gradients(study.first)
        yield _ledger(study.first)
    yield "<h2>Figures</h2>" + _figures(found.drawings, f"{prefix}-figure")
    for table in found.tables[1:]:
        inner = _table(table)
        yield f"<details><summary>Table: {text_html(table.name)}</summary>{inner}</details>"
    yield _scenario(study.first)
    yield _reproduce(study)


def _unfinished(study: Study) -> str:
    rows = "".join(
        f"<li><code>{text_html(row['run'])}</code>: {text_html(row['status'])}"
        f"{': ' + text_html(row['error']) if row.get('error') else ''}</li>"
        for row in study.unfinished
    )
    return f"<h2>Points without a result</h2><ul>{rows}</ul>"


def _privacy(study: Study) -> str:
    if study.kind == "sweep":
        promises = "".join(
            (f"<h3>{text_html(label)}</h3>" if label else "") + _promise(runs[0].folder)
            for label, runs in labelled(study).items()
        )
        return (
            "<h2>Privacy</h2><details><summary>The guarantee of every point, in words</summary>"
            f"{promises}</details>"
        )
    spent = study.first.manifest["epsilon"]
    names = {
        "per_release": "ε of one release",
        "total": "ε in total, tight",
        "delta": "δ",
        "worst_holder_releases": "releases of the worst holder",
    }
    facts = {words: _spent(spent[key]) for key, words in names.items()}
    return f"<h2>Privacy</h2>{_promise(study.first.folder)}{facts_html(facts)}"


def _spent(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def _promise(folder: Path) -> str:
    try:
        known = read_json(folder / "privacy.json")
        words, warnings = str(known["guarantee"]), list(known.get("warnings", []))
        tuning = known.get("tuning")
    except FileNotFoundError as error:
        words = f"{folder}: is not finished; go on with: {command('resume', folder)}"
        raise RunRefused(words) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RunRefused(f"{folder / 'privacy.json'}: holds no statement on privacy") from error
    told = f"<p>{text_html(words[:1].upper() + words[1:].rstrip('.'))}.</p>"
    warned = "".join(f'<p class="warning">{text_html(str(warning))}</p>' for warning in warnings)
    tuned = f"<p>Private tuning, which no ε counts: {text_html(str(tuning))}.</p>" if tuning else ""
    return told + warned + tuned


def _audits(attacked: Attacked, prefix: str) -> str:
    violated = "".join(
        f'<p class="warning">The guarantee does not hold: {text_html(words)}.</p>'
        for words in attacked.violations
    )
    words = (
        "Attacks on what this run published. A lower bound above the ε that is claimed refutes the "
        "claim; a bound far below it, or an attack that fails, is no evidence of privacy."
    )
    tables = "".join(map(_table, attacked.tables))
    figures = _figures(attacked.drawings, prefix)
    return f"<h2>Audits</h2>{violated}<p>{words}</p>{tables}{figures}"


def _gradients(run: Recorded) -> str:
    released = [row for row in run.messages if row["members"]]  # without the public root
    included = [row for row in released if not row["late"]]
    used = sum(bool(row["used"]) for row in included)
    attacked = [row for row in included if row["attack"]]
    slipped = sum(bool(row["used"]) for row in attacked)
    words = (
        f"Of {len(released)} gradients that holders released, {len(included)} came into a "
        f"block of the main chain; the rule used {used} of them and left out "
        f"{len(included) - used}."
    )
    if attacked:
        words += f" Attacks made {len(attacked)} of them, and the rule used {slipped} of those."
        share, captured = byzantine_share(run), capture(run)
        if share is not None and captured is not None:
            words += (
                f" In the attacked rounds, attackers had {share:.1%} of the global gradient on "
                f"average; in {captured:.0%} of them they had at least their share of the messages."
            )
    return f"<h2>Gradients used and left out</h2><p>{words}</p>"


def _ledger(run: Recorded) -> str:
    known = {**run.manifest, **run.metrics[-1]}
    names = ("height", "head", "stale_blocks", "reorganisations")
    facts = {name.replace("_", " "): str(known.get(name, "–")) for name in names}
    return f"<h2>Ledger</h2>{facts_html(facts)}"


def _figures(drawings: Sequence[Drawing], prefix: str) -> str:
    made = "".join(_figure(each, f"{prefix}{place}") for place, each in enumerate(drawings))
    return f'<div class="figures">{made}</div>'


def _figure(drawing: Drawing, prefix: str) -> str:
    caption = text_html(drawing.caption[:1].upper() + drawing.caption[1:])
    return f"<figure>{inlined(drawing, prefix)}<figcaption>{caption}</figcaption></figure>"


def _table(table: Table) -> str:
    def cell(row: int, column: int) -> str:
        bold, rest = map(text_html, bold_parts(table, row, column))
        return f"{f'<b>{bold}</b>' if bold else ''}{rest}"

    wide = range(len(table.columns))
    rows = ([cell(row, column) for column in wide] for row in range(len(table.rows)))
    return table_html([words for _, words in table.columns], rows, table.caption)


def _scenario(run: Recorded) -> str:
    scenario = json.dumps(run.manifest["scenario"], indent=2, ensure_ascii=False)
    what = "The whole scenario, every value resolved"
    return f"<details><summary>{what}</summary><pre>{text_html(scenario)}</pre></details>"


def _reproduce(study: Study) -> str:
    manifest, name = study.first.manifest, Path(study.folder.name)
    facts = {**manifest["versions"], "platform": manifest["platform"]}
    again, then = command("sweep", name / "scenario.yaml"), command("report", name)
    if study.kind == "run":
        again, then = command("run", name / "resolved.yaml"), command("verify", name)
        facts["wall time"] = f"{manifest['seconds']['total']:.1f} s"
    commands = text_html(f"{again} --out again\n{then}")
    return f"<h2>How to reproduce</h2><pre>{commands}</pre>{facts_html(facts)}"
