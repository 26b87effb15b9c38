"""Figures with cells: which sweeps get them, and what they show."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from made_up import make_run

from fedchain.reports.figures import draw
from fedchain.reports.figures.maps import matrix, ordered, worst_of
from fedchain.reports.figures.phases import breaking_lines, phase_diagram
from fedchain.reports.opening import open_study
from fedchain.reports.planes import plane_of

RULES = ["{kind: l_nearest, keep: 4}", "{kind: caf}"]


def make_grid(folder: Path, grid: dict[str, list[str]], score, **more) -> None:
    """A sweep of one seed whose runs of two rounds end at the score of their grid values."""
    lines = [",".join([*grid, "seed,run,status,error"])]
    for number, values in enumerate(itertools.product(*grid.values())):
        rule = values[list(grid).index("aggregation")] if "aggregation" in grid else RULES[0]
        kind = {"kind": "l_nearest" if "l_nearest" in rule else "caf"}
        run = folder / "runs" / f"r{number}"
        make_run(run, rounds=2, aggregation=kind)
        events = [json.loads(line) for line in (run / "events.ndjson").read_text().splitlines()]
        for event in events:
            if event["event"] == "round":
                event["metrics"]["accuracy"] = score(*values)
            elif "0.0" not in values:  # of attacked runs, whose cosines say nothing about rho
                event["cosine"] = 0.9
        (run / "events.ndjson").write_text("".join(json.dumps(e) + "\n" for e in events))
        cells = ",".join(f'"{value}"' for value in values)
        lines.append(f"{cells},0,r{number},finished,")
    told = {"format": 1, "name": "made", "description": "", "grid": grid, "seeds": 1}
    (folder / "sweep.json").write_text(json.dumps({**told, "x": None, "y": "accuracy", **more}))
    (folder / "points.csv").write_text("\n".join(lines) + "\n")


ATTACKS = ["{kind: alie, count: 0}", "{kind: alie, count: 4}", "{kind: mimic, count: 4}"]
SCORES = dict(zip(itertools.product(ATTACKS, RULES), (0.9, 0.8, 0.3, 0.7, 0.6, 0.5), strict=True))


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    grid = {"attacks[0]": ATTACKS, "aggregation": RULES}
    make_grid(folder, grid, lambda attack, rule: SCORES[attack, rule])
    return open_study(folder)


def test_two_kinds_of_parts_are_a_matrix_sorted_by_the_worst_case(attacked):
    drawing = matrix(attacked)
    assert drawing.name == "accuracy_by_attack_and_aggregation"
    (ax,) = drawing.figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "nobody",
        "alie",
        "mimic",
        "worst",
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["caf", "l_nearest"]
    texts = [text.get_text() for text in ax.texts]
    assert texts == [".80", ".70", ".50", ".50", ".90", ".30", ".60", ".30"]
    assert [drawing.name for drawing in draw(attacked)] == [drawing.name]


EPSILONS, SHARES = ["1.0", "8.0", "inf"], ["0.0", "0.2", "0.4"]


def fall(rule: str, share: str, epsilon: str) -> float:
    """CAF never breaks, l-nearest at a share of .1 for epsilon 1, and at .3 for others."""
    breaks = {"1.0": 0.1}.get(epsilon, 0.3)
    lost = 0.0 if "caf" in rule else max(0.0, float(share) - breaks + 0.1)
    return 0.8 - 0.8 * lost


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    grid = {"aggregation": RULES, "attacks[0].share": SHARES, "privacy.epsilon": EPSILONS}
    make_grid(folder, grid, fall)
    return open_study(folder)


def test_attackers_stand_on_the_vertical_axis_and_each_rule_has_a_panel(phases):
    plane = plane_of(phases)
    assert (plane.across, plane.down) == ("privacy.epsilon", "attacks[0].share")
    assert plane.xs == [1.0, 8.0, math.inf]
    assert plane.ys == [0.0, 0.2, 0.4]
    assert list(plane.panels.values()) == ["l_nearest", "caf"]
    drawing = phase_diagram(phases)
    titles = [ax.get_title() for ax in drawing.figure.axes]
    assert titles[:4] == ["l_nearest", "caf", "", ""]


def test_rules_break_where_they_lose_a_tenth_of_what_they_reach_without_attackers(phases):
    nearest, caf = plane_of(phases).broken
    assert nearest == pytest.approx([0.1, 0.3, 0.3])
    assert np.isnan(caf).all()
    lines = {line.get_label(): line for line in breaking_lines(phases).figure.axes[0].lines}
    assert lines["l_nearest"].get_ydata().tolist() == pytest.approx([0.1, 0.3, 0.3])


def test_the_closed_line_takes_the_cosine_of_runs_by_l_nearest_without_attackers(phases):
    flip, orthogonal = plane_of(phases).closed
    # Six messages of cosine .5: the sum has the length 3, and rho^2 = (9 - 6) / 30.
    rho = math.sqrt(0.1)
    assert flip == pytest.approx([(1 + 5 * rho) / (1 + rho) / 6] * 3)
    assert orthogonal == pytest.approx([(1 + 5 * 0.1) / 1.1 / 6] * 3)


def test_other_axes_keep_their_curves(tmp_path):
    make_grid(tmp_path, {"privacy.epsilon": ["1.0", "8.0"], "aggregation": RULES}, lambda *_: 0.5)
    study = open_study(tmp_path)
    assert matrix(study) is None
    assert phase_diagram(study) is None
    assert "accuracy_against_epsilon" in [drawing.name for drawing in draw(study)]


def test_a_row_without_any_value_stands_last():
    cells = np.array([[math.nan, math.nan], [0.1, math.nan], [0.5, 0.4]])
    worst = worst_of(cells, smallest=True)
    assert ordered(worst, rising=False) == [2, 1, 0]
    assert worst_of(cells, smallest=False)[2] == 0.5
