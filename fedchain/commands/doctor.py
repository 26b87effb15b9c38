"""The command that checks the machine: doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands.formats import Format, FormatOption, print_json, stderr, stdout, table

if TYPE_CHECKING:
    from fedchain.commands.checkup import Finding
    from fedchain.forecasts.rates import Rates

app = typer.Typer()

MARKS = {"ok": "ok", "note": "note", "missing": "MISSING"}
"""Words before a finding, by its state."""


@app.command(epilog="Example: fedchain doctor --calibrate")
def doctor(
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Measure this machine, so that explain estimates better: 10 s."
        ),
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs"),
    form: FormatOption = Format.rich,
) -> None:
    """Check what runs need of this machine, and say what to do; exit 1 if something is missing."""
    from fedchain.commands.checkup import examined

    findings = examined(out)
    ok = all(finding.state != "missing" for finding in findings)
    measured = _calibrated(findings) if calibrate and ok else None
    if form is Format.json:
        print_json({"ok": ok, "findings": [vars(f) for f in findings], **_rates(measured)})
    else:
        _show(findings, measured, form)
    if not ok:
        raise typer.Exit(1)


def _calibrated(findings: list[Finding]) -> tuple[Rates, Path]:
    """Measure and keep the rates, and replace the last finding, which is about rates."""
    from fedchain.commands.checkup import Finding
    from fedchain.forecasts.calibration import measured
    from fedchain.forecasts.rates import keep_rates

    with stderr().status("Measuring this machine; anything else that runs disturbs it"):
        rates = measured()
    path = keep_rates(rates)
    findings[-1] = Finding("rates", "ok", f"measured just now, kept in {path}")
    return rates, path


def _rates(measured: tuple[Rates, Path] | None) -> dict[str, Any]:
    if measured is None:
        return {"rates": None, "kept": None}
    rates, path = measured
    return {"rates": rates.model_dump(), "kept": str(path)}


def _show(findings: list[Finding], measured: tuple[Rates, Path] | None, form: Format) -> None:
    from rich.text import Text

    console = stdout(form)
    found = table(form, "what", "", "found")
    for finding in findings:
        found.add_row(finding.what, MARKS[finding.state], Text(finding.words))
    console.print(found)
    if measured is None:
        return
    listed = table(form, "what", "a second", "one takes")
    for row in measured[0].rows():
        listed.add_row(*row)
    console.print()
    console.print(listed)
