"""Momentum of holders, measured: how far messages point along the true mean gradient, by noise.

    python benchmarks/momentum.py FOLDER [--runs .momentum] [--seeds 3]

Twenty holders of digits, none of whom attacks. For each epsilon and each beta it measures rho, the
cosine of a message with the mean gradient without noise at the same weights (rounds 11 to 40), how
many sign flippers would capture l-nearest, how well successive messages of one holder can be
linked, and the accuracy, also with larger steps. Prints one JSON object, and writes
``rho_against_beta.png`` to the folder.
Runs are kept in ``--runs``: a finished one is not repeated, an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fedchain.machine import prepare

prepare()  # before numpy reads how many threads one operation may take

import numpy as np  # noqa: E402
from matplotlib import colormaps  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from momentum_tables import SMALL_STEP  # noqa: E402
from rho import (  # noqa: E402
    colluders_in,
    colluders_of,
    cosines,
    least_rho,
    rho_of,
    squares_of,
)

from fedchain.arrays import Vector  # noqa: E402
from fedchain.audits.linkability import links_in  # noqa: E402
from fedchain.audits.runs_for_audit import KEEP_ALL, ledger_of, releases_of  # noqa: E402
from fedchain.engines import Source  # noqa: E402
from fedchain.nodes.holders.momentum import published_vector  # noqa: E402
from fedchain.reports.figures.style import (  # noqa: E402
    GREY,
    VERMILION,
    Drawing,
    axes,
    finished,
    legend_below,
    logarithmic,
    render,
    styled,
)
from fedchain.results import Run  # noqa: E402
from fedchain.runs.running import run_or_resume  # noqa: E402
from fedchain.scenario import Scenario, from_mapping  # noqa: E402
from fedchain.simulation.setup import build_setup  # noqa: E402

EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, float("inf"))
BETAS = (0.0, 0.3, 0.5, 0.7, 0.9, 0.95)
LARGE_STEP = 0.1
CAPTURES = ((False, (0, (4, 2)), "sign flip"), (True, (0, (1, 1)), "orthogonal direction"))
"""The two closed lines of the figure: whether orthogonal, dashes, and a word."""
HOLDERS, HONEST, COLLUDERS, ROUNDS, FIRST = 20, 16, 4, 40, 11


@dataclass(frozen=True)
class Measured:
    """Means over the rounds of a run, from the first that is measured."""

    rho: float
    """Cosine of a message with the mean gradient without noise."""
    captured: float
    """Number of sign flippers that would capture l-nearest of 16 honest holders."""
    auc: float
    """AUC of linking successive messages of one holder by their direction."""
    accuracy: float
    """Accuracy after the last round."""
    squares: list[tuple[float, float, float]]
    """For each round, the arguments ``signal``, ``spread`` and ``noise`` of ``rho_of``."""


@dataclass(frozen=True)
class Cell:
    """Means over the seeds for one step, one epsilon and one beta."""

    step: float
    """Learning rate of Adam."""
    epsilon: float
    beta: float
    rho: float
    formula: float
    """rho by the formula for a steady gradient, from runs without momentum."""
    captured: float
    closed: float
    """Number of sign flippers by the closed form, for the measured rho."""
    auc: float
    accuracy: float


def main() -> None:
    """Make the runs that are missing, draw the figure, and print the cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the figure")
    parser.add_argument("--runs", type=Path, default=Path(".momentum"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="3 by default")
    asked = parser.parse_args()
    cells = [
        cell
        for step, betas in ((SMALL_STEP, BETAS), (LARGE_STEP, (0.0, 0.9)))
        for epsilon in EPSILONS
        for cell in cells_of(asked.runs, step, epsilon, betas, range(asked.seeds))
    ]
    drawing = rho_against_beta([cell for cell in cells if cell.step == SMALL_STEP])
    (asked.folder / f"{drawing.name}.png").write_bytes(render(drawing, "png"))
    print(json.dumps([asdict(cell) for cell in cells]))


def cells_of(
    out: Path, step: float, epsilon: float, betas: Sequence[float], seeds: Sequence[int]
) -> list[Cell]:
    """Return the cells of some betas for one step and one epsilon; the first beta is 0."""
    found = {
        beta: [measured(run_or_resume(scenario(step, epsilon, beta, seed), out)) for seed in seeds]
        for beta in betas
    }
    squares = [each for run in found[0.0] for each in run.squares]
    return [
        Cell(
            step=step,
            epsilon=epsilon,
            beta=beta,
            rho=mean([run.rho for run in runs]),
            formula=mean([rho_of(*each, beta) for each in squares]),
            captured=mean([run.captured for run in runs]),
            closed=mean([colluders_of(run.rho, HONEST) for run in runs]),
            auc=mean([run.auc for run in runs]),
            accuracy=mean([run.accuracy for run in runs]),
        )
        for beta, runs in found.items()
    ]


def mean(values: Sequence[float]) -> float:
    """Return the mean of numbers."""
    return float(np.mean(values))


def scenario(step: float, epsilon: float, beta: float, seed: int) -> Scenario:
    """Return the scenario of one run."""
    return from_mapping({
        "version": 1,
        "name": "momentum",
        "seed": seed,
        "rounds": ROUNDS,
        "task": {"kind": "digits"},
        "nodes": {
            "holders": HOLDERS, "compute": 1,
            "momentum": {"kind": "ema", "beta": beta} if beta else None,
        },
        "privacy": {
            "kind": "gaussian", "epsilon": epsilon, "delta": 1e-5, "clip": 0.1, "spare_releases": 0,
        },
        "aggregation": {"kind": "mean"},
        "update": {"kind": "adam", "learning_rate": step},
        "ledger": {"work": {"difficulty_bits": 4}},
        "evaluate": {"every": ROUNDS, "samples": 0},
        "disk": KEEP_ALL,
    })  # fmt: skip


def measured(run: Run) -> Measured:
    """Measure a finished run."""
    setup = build_setup(run.scenario)
    gradients = Source(run.scenario, setup.mechanism, setup.task).gradients
    rounds: dict[bytes, dict[int, tuple[Vector, Vector]]] = {}
    for each in releases_of(run):
        if each.message.round >= FIRST:
            pair = published_vector(each.message), each.vector
            rounds.setdefault(each.message.parent, {})[each.holder] = pair
    rhos, captured, squares = [], [], []
    with ledger_of(run) as store:
        for parent, pairs in rounds.items():
            sent, released = (np.array([pairs[k][i] for k in range(HOLDERS)]) for i in (0, 1))
            true = gradients(store.state(parent).weights, range(HOLDERS)).astype(np.float64)
            rhos.append(cosines(sent, true.mean(axis=0)).mean())
            captured.append(colluders_in(sent[:HONEST], true.mean(axis=0)))
            squares.append(squares_of(true, released))
    auc = links_in(run)["direction"].auc
    accuracy = run.summary()["metrics"]["accuracy"]
    return Measured(mean(rhos), mean(captured), mean(auc), accuracy, squares)


def rho_against_beta(cells: Sequence[Cell]) -> Drawing:
    """Draw rho against beta for every epsilon, with the lines below which l-nearest is captured.

    The horizontal axis is the logarithm of sqrt((1 + beta) / (1 - beta)), by which an average of a
    steady gradient multiplies a small rho: such a rho rises in a straight line.
    """
    shades = colormaps["viridis_r"](np.linspace(0.12, 0.95, len(EPSILONS)))
    gains = [math.sqrt((1.0 + beta) / (1.0 - beta)) for beta in BETAS]
    measured_look, formula_look = {"marker": "o"}, {"linewidth": 0.7, "linestyle": ":"}
    with styled():
        figure, ax = axes(3.2)
        for epsilon, shade in zip(EPSILONS, shades, strict=True):
            row = [cell for cell in cells if cell.epsilon == epsilon]
            ax.plot(gains, [cell.rho for cell in row], color=shade, **measured_look)
            ax.plot(gains, [cell.formula for cell in row], color=shade, **formula_look)
            word = "no noise" if math.isinf(epsilon) else f"\u03b5 {epsilon:g}"
            ax.text(0.94, row[0].rho, word, color=shade, fontsize=6, va="center", ha="right")
        handles = [
            Line2D([], [], color=GREY, label="measured", **measured_look),
            Line2D([], [], color=GREY, label="formula, steady gradient", **formula_look),
        ]
        for orthogonal, dashes, word in CAPTURES:
            look = {"color": VERMILION, "linewidth": 0.9, "linestyle": dashes}
            ax.axhline(least_rho(COLLUDERS, HONEST, orthogonal=orthogonal), **look)
            handles.append(
                Line2D([], [], label=f"captured by {COLLUDERS} of {HOLDERS}: {word}", **look)
            )
        logarithmic(ax)
        ax.set(xscale="log", xlim=(0.66, 6.8), ylim=(0.008, 1))
        ax.set(xlabel="beta of the holders' momentum")
        ax.set_xticks(gains, [f"{beta:g}" for beta in BETAS])
        ax.minorticks_off()
        ax.set(ylabel="rho: cosine with the true mean gradient")
        legend_below(figure, 2, handles)
    caption = (
        "Cosine of an honest message with the mean gradient without noise, by momentum and total "
        "epsilon. Below a red line, four of twenty holders who send one direction capture "
        "l-nearest."
    )
    return finished("rho_against_beta", caption, figure)


if __name__ == "__main__":
    main()
