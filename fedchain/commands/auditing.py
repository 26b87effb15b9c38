"""fedchain audit: attacks what a run publishes, and compares the result with the run's claim."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, progress_bar, refuse, repeatable, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.audits import Audit, Audited
    from fedchain.results import Run
    from fedchain.scenario import Scenario

app = typer.Typer()

VIOLATED = 7
"""Exit code if a lower bound on epsilon exceeds the claimed epsilon."""


@app.command(epilog="Example: fedchain audit audit --attack canaries,one-run")
def audit(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN/SCENARIO",
            help="A finished run's folder, a YAML file, or a name that fedchain scenarios lists.",
            callback=options.announce,
        ),
    ],
    attack: Annotated[
        str,
        typer.Option(
            metavar="AUDIT,..",
            help="Audits to carry out: of docs/audits.md, or your own (module:object).",
        ),
    ] = "canaries",
    epsilon: Annotated[
        str | None,
        typer.Option(metavar="A,B,..", help="Claims to audit; default: the scenario's own."),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            min=2, max=4096, help="Canaries planted among each holder's records; default: 100."
        ),
    ] = None,
    records: Annotated[
        int, typer.Option(min=1, max=64, help="Records of a holder whose gradient is inverted.")
    ] = 1,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Runs of each claim, seed after seed; default: as many as the audit needs.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999999, help="Confidence of bounds and intervals.")
    ] = 0.95,
    set_: options.Set = None,
    seed: options.SeedNumber = None,
    workers: options.WorkerCount = None,
    secret: options.SecretFile = None,
    trust_user_parts: Annotated[
        bool, options.trust("code of your own (module:function) that the run's scenario names")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the audits of scenarios.")] = Path("audits"),
    form: options.Form = Format.rich,
) -> None:
    """Attack what a run publishes, and compare the findings with the run's claims."""
    from fedchain.audits import Choices
    from fedchain.audits import audit as audit_it
    from fedchain.audits.statement import violation_words

    audits = _audits(attack)
    choices = Choices(
        epsilons=_numbers(epsilon),
        runs=runs,
        canaries=canaries,
        records=records,
        confidence=confidence,
        workers=workers,
        secret=secret,
    )
    subject = _subject(target, set_ or [], seed, trust_user_parts)
    with repeatable(), progress_bar("Auditing", form is not Format.json) as show:
        found = audit_it(subject, list(audits), out, choices, lambda what, *n: show(*n, what))
    rows = {
        name: [_shown_row(row, audit) for row in found.findings[name]]
        for name, audit in audits.items()
    }
    files = [str(file) for file in found.files]
    values = {"attacks": rows, "violated": bool(found.violations), "files": files}
    violated = [f"violated: {violation_words(row)}" for row in found.violations]
    print_result(form, values, _lines(found, audits), violated, VIOLATED if violated else 0)


def _audits(attack: str) -> dict[str, Audit[Any]]:
    from fedchain.audits import find_audit

    try:
        return {name: find_audit(name) for name in map(str.strip, attack.split(","))}
    except ValueError as error:
        refuse(f"--attack: {error}")


def _subject(
    target: str, set_: Sequence[str], seed: int | None, trust_user_parts: bool
) -> Run | Scenario:
    from fedchain.results import Run
    from fedchain.scenario import load, located, parse_overrides

    if not os.path.isdir(located(target)):  # noqa: PTH112 - False, no error, for a long name
        return load(target, set=parse_overrides(set_), seed=seed)
    if set_ or seed is not None:
        refuse(f"{target}: is a run; --set and --seed are for scenarios")
    return Run.open(Path(target), trust_user_parts=trust_user_parts)


def _numbers(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (0.0,)
    if any(not (0 < value < 1e6 or value == math.inf) for value in values):
        refuse(f"--epsilon: must be numbers above 0 and below 1e6, or inf, got {text}")
    return values


def _lines(found: Audited, audits: Mapping[str, Audit[Any]]) -> Iterator[RenderableType]:
    from rich.text import Text

    for name, audit in audits.items():
        yield Text(name, style="bold")
        cells = audit.cells(found.findings[name])
        yield table(
            tuple(audit.columns.values()), (map(_cell, audit.columns, row) for row in cells)
        )
        if audit.unseen:
            yield Text(audit.unseen)
    yield from map(str, found.files)


def _shown_row(row: Mapping[str, Any], audit: Audit[Any]) -> dict[str, Any]:
    hidden = {key for key, field in audit.row.model_fields.items() if not field.repr}
    return {key: value for key, value in row.items() if key not in hidden}


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "none" if key == "claimed" else "-"
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
