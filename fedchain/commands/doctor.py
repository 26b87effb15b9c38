"""fedchain doctor: check whether this machine has what runs need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedchain.commands.formats import Format, FormatOption, print_result, stderr, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedchain.commands.checkup import Check
    from fedchain.forecasts.rates import Rates

app = typer.Typer()


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
    """Check that this machine has what runs need, and say what to fix; exit 1 if it does not."""
    from fedchain.commands.checkup import examined

    findings = examined(out)
    ok = all(finding.state != "missing" for finding in findings)
    measured = _calibrated(findings) if calibrate and ok else None
    values = {"ok": ok, "findings": [vars(f) for f in findings], **_rates(measured)}
    print_result(form, values, _lines(findings, measured, form))
    if not ok:
        raise typer.Exit(1)


def _calibrated(findings: list[Check]) -> tuple[Rates, Path]:
    """Measure and save this machine's rates; replace the last finding, which is about rates."""
    from fedchain.commands.checkup import Check
    from fedchain.forecasts.calibration import measured
    from fedchain.forecasts.rates import keep_rates

    with stderr().status("Measuring this machine; anything else that runs disturbs it"):
        rates = measured()
    path = keep_rates(rates)
    findings[-1] = Check("rates", "ok", f"measured just now, kept in {path}")
    return rates, path


def _rates(measured: tuple[Rates, Path] | None) -> dict[str, Any]:
    if measured is None:
        return {"rates": None, "kept": None}
    rates, path = measured
    return {"rates": rates.model_dump(), "kept": str(path)}


def _lines(
    findings: list[Check], measured: tuple[Rates, Path] | None, form: Format
) -> Iterator[RenderableType]:
    found = table(form, "what", "", "found")
    for finding in findings:
        word = "MISSING" if finding.state == "missing" else finding.state
        found.add_row(finding.what, word, finding.words)
    yield found
    if measured is not None:
        listed = table(form, "what", "a second", "one takes")
        for row in measured[0].rows():
            listed.add_row(*row)
        yield ""
        yield listed
