"""Command epsilon: noise to epsilon and back, by several accountants, without a scenario."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, refuse, table

app = typer.Typer()


@app.command(epilog="Example: fedchain epsilon --epsilon 4 --rounds 40 --clip 1 --records 45")
def epsilon(
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Releases of each holder: one in a round.")
    ],
    noise_multiplier: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=1e6, help="Standard deviation of the noise divided by the sensitivity."
        ),
    ] = None,
    total: Annotated[
        float | None,
        typer.Option("--epsilon", min=1e-4, max=1e4, help="Total over all rounds."),
    ] = None,
    delta: Annotated[float, typer.Option(min=1e-11, max=0.1, help="Delta of the total.")] = 1e-5,
    sampling_rate: Annotated[
        float, typer.Option(min=1e-4, max=1, help="Chance of each record to be in a release.")
    ] = 1.0,
    clip: Annotated[
        float | None, typer.Option(min=1e-9, max=1e6, help="Largest norm of a record's gradient.")
    ] = None,
    records: Annotated[
        int | None, typer.Option(min=1, help="Records of a holder, over which it takes the mean.")
    ] = None,
    form: options.Form = Format.rich,
) -> None:
    """Compute epsilon from Gaussian noise, or noise from epsilon, by three accountants.

    Give --noise-multiplier or --epsilon. --clip and --records together also give the standard
    deviation of the noise in a holder's mean gradient. A scenario adds spare releases for forks to
    its rounds (a tenth, at least 2), and so a little noise: see fedchain explain.
    """
    if (noise_multiplier is None) == (total is None):
        refuse("epsilon: give exactly one of --noise-multiplier and --epsilon")
    if (clip is None) != (records is None):
        refuse("epsilon: --clip and --records belong together; give both or neither")
    from fedchain.privacy.conversion import ACCOUNTANT_WORDS, totals

    found = totals(
        releases=rounds, delta=delta, epsilon=total, noise_multiplier=noise_multiplier,
        sampling_rate=sampling_rate,
    )  # fmt: skip
    rows = [asdict(each) for each in found]
    heads = ["accountant", "noise multiplier", f"epsilon at delta {delta:g}", "what it is"]
    if clip is not None and records is not None:
        heads.insert(2, "deviation of the mean")
        for row in rows:
            noise = row["noise_multiplier"]
            row["deviation"] = noise and noise * clip / (sampling_rate * records)
    cells = [
        (
            row["accountant"],
            _number(row["noise_multiplier"]),
            *([_number(row["deviation"])] if "deviation" in row else []),
            _number(row["epsilon"]),
            row["problem"] or ACCOUNTANT_WORDS[row["accountant"]],
        )
        for row in rows
    ]
    values: dict[str, Any] = {"rounds": rounds, "delta": delta, "sampling_rate": sampling_rate}
    values |= {"clip": clip, "records": records, "accountants": rows}
    print_result(form, values, [table(heads, cells)])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
