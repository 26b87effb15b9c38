"""Figures and tables for print: their width, letters, names, intervals and files."""

import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from made_up import make_block_sweep, make_run, make_sweep
from test_maps import EPSILONS, RULES, SHARES, fall, make_grid

from fedchain.reports.figures import draw
from fedchain.reports.figures.axis import metric_against_axis
from fedchain.reports.figures.opaque import opaque
from fedchain.reports.figures.paper import Paper
from fedchain.reports.figures.phases import phase_diagram
from fedchain.reports.figures.rounds import metric_over_rounds
from fedchain.reports.figures.style import render, styled
from fedchain.reports.opening import open_study
from fedchain.reports.report import report
from fedchain.reports.table import Table, write_table
from fedchain.reports.tables import tabulate
from fedchain.statistics import Interval


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    make_block_sweep(folder)
    return folder


def named(folder: Path, labels: dict[str, str]):
    described = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**described, "labels": labels}))
    return open_study(folder)


@pytest.mark.parametrize("width_in", [3.5, 7.16])
def test_every_figure_is_as_wide_as_the_paper(blocks: Path, tmp_path: Path, width_in) -> None:
    make_run(tmp_path / "run", attack_from=6)
    make_grid(tmp_path / "cells", {"aggregation": RULES, "attacks[0]": RULES}, lambda *_: 0.5)
    with styled(Paper(width_in)):
        drawn = [
            d for f in (blocks, tmp_path / "run", tmp_path / "cells") for d in draw(open_study(f))
        ]
    assert len(drawn) > 8
    assert {round(drawing.figure.get_figwidth(), 2) for drawing in drawn} == {width_in}
    box = re.search(rb"%%BoundingBox: 0 0 (\d+)", render(drawn[0], "eps"))
    assert box is not None
    assert int(box[1]) == pytest.approx(72 * width_in, abs=1)


def test_panels_stand_beside_each_other_as_far_as_the_paper_is_wide(blocks: Path) -> None:
    def first_row(paper: Paper | None) -> int:
        with styled(paper):
            drawing = metric_over_rounds(open_study(blocks), "accuracy")
        heights = [round(ax.get_position().y0, 3) for ax in drawing.figure.axes]
        return heights.count(heights[0])

    assert [first_row(each) for each in (None, Paper(3.5), Paper(7.16))] == [2, 2, 4]


def test_a_row_of_panels_that_nobody_could_read_becomes_a_column(tmp_path: Path) -> None:
    rules = [*RULES, "{kind: krum}"]
    grid = {"aggregation": rules, "attacks[0].share": SHARES, "privacy.epsilon": EPSILONS}
    make_grid(tmp_path, grid, fall)
    study = open_study(tmp_path)

    def narrowest_in(paper: Paper) -> float:
        with styled(paper):
            figure = phase_diagram(study).figure
        panels = [ax for ax in figure.axes if ax.get_title()]
        assert [ax.get_title() for ax in panels] == ["l_nearest", "caf", "krum"]
        return min(ax.get_position().width for ax in panels) * figure.get_figwidth()

    assert narrowest_in(Paper(3.5)) > 1.0
    assert narrowest_in(Paper(7.16)) > 1.0


def test_letters_have_serifs_if_asked_for(blocks: Path) -> None:
    def fonts(paper: Paper | None) -> set[str]:
        with styled(paper):
            (ax, *_) = metric_against_axis(open_study(blocks)).figure.axes
        return {ax.xaxis.label.get_fontname(), ax.get_xticklabels()[0].get_fontname()}

    assert fonts(None) == {"DejaVu Sans"}
    assert fonts(Paper(serif=True)) == {"STIXGeneral"}


def test_a_paper_does_not_outlive_its_block(blocks: Path) -> None:
    with styled(Paper(7.16, serif=True)), styled():
        assert metric_against_axis(open_study(blocks)).figure.get_figwidth() == 7.16
    with styled():
        assert metric_against_axis(open_study(blocks)).figure.get_figwidth() == 3.35


def test_error_bars_of_several_curves_stand_beside_each_other(blocks: Path) -> None:
    axes = metric_against_axis(open_study(blocks)).figure.axes[0]
    bars = [line for line in axes.lines if len(set(line.get_xdata())) == 1 < len(line.get_xdata())]
    places = sorted(line.get_xdata()[0] for line in bars)
    assert len(places) == 4 * 3
    assert all(high / low > 1.01 for low, high in itertools.pairwise(places))
    middles = [math.exp(np.mean(np.log(places[k : k + 4]))) for k in (0, 4, 8)]
    assert middles == pytest.approx([0.5, 2.0, 8.0])  # the ticks are in their middle
    assert not axes.collections  # bands would cover each other


def test_bands_and_bars_end_where_a_score_can_end(tmp_path: Path) -> None:
    make_sweep(tmp_path, epsilons=(0.5, 2.0))
    for number, events in enumerate(sorted(tmp_path.glob("runs/*/events.ndjson"))):
        rows = [json.loads(line) for line in events.read_text().splitlines()]
        for row in rows:
            if row["event"] == "round":
                row["metrics"] = {
                    "accuracy": 0.99 - 0.9 * (number % 3 == 0),
                    "loss": 0.01 * (number % 3),
                }
        events.write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = open_study(tmp_path)
    assert tabulate(study)[0].rows[0][2].high > 1  # so far reach the intervals of Student
    drawn = metric_against_axis(study), metric_over_rounds(study, "accuracy")
    for drawing in (*drawn, metric_over_rounds(study, "loss")):
        bounds = drawing.figure.axes[0].dataLim
        assert bounds.y0 >= 0
        if drawing.name.startswith("accuracy"):
            assert bounds.y1 == 1


def test_labels_name_keys_kinds_metrics_and_values(blocks: Path, tmp_path: Path) -> None:
    make_block_sweep(tmp_path)
    labels = {
        "privacy.epsilon": "budget",
        "accuracy": "test accuracy",
        "holders = 10": "few",
        "size 10, honest 0.8": "masked",
        "majority": "guessing",
        "no privacy": "without noise",
    }
    study = named(tmp_path, labels)
    drawing = metric_against_axis(study)
    axes, (legend,) = drawing.figure.axes[0], drawing.figure.legends
    assert axes.get_ylabel() == "test accuracy"
    assert axes.get_xlabel() == "budget (δ = 1e-5)"
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["few", "holders = 20", "no groups", "masked", "guessing"]
    assert drawing.name == "accuracy_against_epsilon"
    points, pivoted = tabulate(study)
    assert [heading for _, heading in points.columns][:5] == [
        "groups",
        "holders",
        "budget",
        "n",
        "test accuracy",
    ]
    assert [heading for _, heading in pivoted.columns][2:] == [
        "budget = 0.5",
        "budget = 2",
        "without noise",
    ]


def test_a_label_that_names_nothing_is_told(tmp_path: Path) -> None:
    make_sweep(tmp_path)
    named(tmp_path, {"acuracy": "score", "accuracy": "score", "ε = 2": "two"})
    told: list[str] = []
    report([tmp_path], ["svg"], ["csv"], left_out=told.append)
    assert told == [f"{tmp_path}: labels: nothing here is called 'acuracy'"]


def test_the_score_is_also_a_table_of_one_key_by_the_axis_with_the_best_in_bold(tmp_path) -> None:
    scores = {("l", "8.0"): 0.6, ("l", "inf"): 0.8, ("c", "8.0"): 0.7, ("c", "inf"): 0.6}
    grid = {"aggregation": RULES, "privacy.epsilon": ["1.0", "8.0", "inf"]}

    def score(rule: str, epsilon: str) -> float:
        return scores.get((rule.removeprefix("{kind: ")[0], epsilon), 0.5)

    make_grid(tmp_path, grid, score, x="privacy.epsilon")
    _, pivoted = tabulate(open_study(tmp_path))
    assert pivoted.name == "accuracy_by_privacy_epsilon"
    text = write_table(pivoted, "tex")
    assert r"\begin{tabular}{lrrr}" in text
    assert "& \\multicolumn{3}{c}{$\\varepsilon$} \\\\\n    \\cmidrule(l){2-4}\n" in text
    assert r"aggregation & 1 & 8 & no privacy \\" in text
    assert r"l\_nearest & 0.500 & 0.600 & \textbf{0.800} \\" in text
    assert r"caf & 0.500 & \textbf{0.700} & 0.600 \\" in text
    assert r"\label{tab:made-accuracy-by-privacy-epsilon}" in text
    assert "| caf | 0.500 | **0.700** | 0.600 |" in write_table(pivoted, "md")
    report([tmp_path], [], ["tex"])
    assert "<b>0.700</b>" in (tmp_path / "report.html").read_text()


def test_nothing_stands_after_a_number_that_does_not_vary() -> None:
    cells = [Interval(0.1 + 0.2, 0.0, 3), Interval(0.3, 1e-17, 3), Interval(0.3, 2e-4, 3)]
    table = Table("t", "t", (("a", "a"),), tuple((cell,) for cell in cells))
    assert write_table(table, "md").splitlines()[2:5] == [
        "| 0.300 |",
        "| 0.300 |",
        "| 0.300 ± <0.001 |",
    ]
    assert r"0.300 $\pm$ $<$0.001" in write_table(table, "tex")


def test_negative_numbers_of_latex_have_a_minus_sign() -> None:
    table = Table("t", "t", (("a", "a"),), ((-0.25,), (None,)))
    assert r"    $-$0.250 \\" in write_table(table, "tex")


def test_eps_has_no_transparency_and_leaves_the_figure_as_it_was(tmp_path: Path, caplog) -> None:
    make_run(tmp_path, attack_from=6)
    for drawing in draw(open_study(tmp_path))[1:3]:  # embedding the fonts takes a second each
        before = render(drawing, "png")
        content = render(drawing, "eps")
        assert content == render(drawing, "eps")
        assert content.startswith(b"%!PS-Adobe-3.0 EPSF-3.0")
        assert render(drawing, "png") == before
    assert "transparency" not in caplog.text


def test_what_is_opaque_looks_as_it_did_on_white(blocks: Path) -> None:
    drawing = metric_over_rounds(open_study(blocks), "accuracy")
    band = drawing.figure.axes[0].collections[0]
    colour, alpha = band.get_facecolor()[0][:3], 0.2
    with opaque(drawing.figure):
        assert band.get_facecolor()[0] == pytest.approx([*(colour * alpha + 1 - alpha), 1.0])
