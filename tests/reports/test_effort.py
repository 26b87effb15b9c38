"""What forks cost those who learn, from made-up runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import make_run, make_sweep

from fedchain.errors import RunError
from fedchain.reports.effort import forks_varied, reached, releases_per_block
from fedchain.reports.figures.chains import effort_until_target, releases_against_stale
from fedchain.reports.opening import open_study
from fedchain.reports.study import Recorded, Study
from fedchain.reports.tables import tabulate

KEY = "ledger.work.interval_s"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three points as if the interval had been varied; each holder released 15 times in 12."""
    make_sweep(tmp_path, (0.5, 2.0, 8.0))
    found = open_study(tmp_path)
    for run in found.runs:
        (run.folder / "privacy.json").write_text(json.dumps({"releases": [15] * 6}))
        chain = {"chain": {"stale_share": 0.25}}
        run.manifest.update(chain)  # type: ignore[attr-defined]
    return replace(found, keys=(KEY,), x=KEY, target=0.5)


def test_the_target_is_reached_from_below_and_a_loss_from_above() -> None:
    rows = [{"round": t, "accuracy": t / 4, "loss": 1 - t / 4} for t in (1, 2, 3)]
    run = Recorded(folder=Path(), manifest={}, metrics=rows, messages=[])
    assert reached(run, "accuracy", 0.5) == rows[1]
    assert reached(run, "loss", 0.25) == rows[2]
    assert reached(run, "accuracy", 0.9) is None


def test_releases_are_counted_by_holder_asked_and_block(tmp_path: Path) -> None:
    run = make_run(tmp_path, nodes={"holders": 6, "cohort": 3})
    (tmp_path / "privacy.json").write_text(json.dumps({"releases": [9] * 5}))
    assert releases_per_block(run) == 45 / (3 * 12)
    (tmp_path / "privacy.json").write_text(json.dumps({"releases": {"min": 1}}))
    assert releases_per_block(run) is None
    (tmp_path / "privacy.json").unlink()
    with pytest.raises(RunError, match=r"privacy\.json: cannot be read"):
        releases_per_block(run)


def test_releases_stand_over_the_stale_share_where_forks_are_varied(study: Study) -> None:
    drawing = releases_against_stale(study)
    assert drawing is not None
    every, first = drawing.figure.axes[0].lines[:2]
    assert every.get_ydata()[-1] == pytest.approx(1 / 0.75)
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0.25], [1.25])
    assert releases_against_stale(replace(study, keys=("privacy.epsilon",))) is None
    assert not forks_varied(replace(study, keys=("nodes.compute",)))


def test_time_and_epsilon_until_the_target_are_means_over_the_seeds(study: Study) -> None:
    drawing = effort_until_target(study)
    assert drawing is not None
    time, epsilon = drawing.figure.axes
    rows = [
        next(row for row in m.metrics if row["accuracy"] >= 0.5)
        for m in study.runs
        if m.values == (0.5,)
    ]
    assert time.lines[0].get_ydata()[0] == pytest.approx(sum(r["time_s"] for r in rows) / 3)
    assert epsilon.lines[0].get_ydata()[0] == pytest.approx(sum(r["epsilon"] for r in rows) / 3)
    assert epsilon.get_xlabel() == "interval (s)"


def test_the_table_has_what_the_figures_show(study: Study) -> None:
    table = tabulate(study)[-1]
    keys = [key for key, _ in table.columns]
    assert keys == [KEY, "n", "stale_share", "releases", "time_s", "epsilon"]
    first = table.rows[0]
    assert (first[2].mean, first[3].mean) == (0.25, 1.25)  # type: ignore[union-attr]
    assert len(tabulate(replace(study, keys=("nodes.compute",)))) == 1


def test_a_point_whose_seeds_did_not_all_arrive_is_left_out(study: Study) -> None:
    run = next(each for each in study.runs if each.values == (2.0,))
    short = replace(run, metrics=run.metrics[:1])
    others = tuple(short if each is run else each for each in study.runs)
    drawing = effort_until_target(replace(study, runs=others))
    assert drawing is not None
    assert list(drawing.figure.axes[0].lines[0].get_xdata()) == [0.5, 8.0]
    assert effort_until_target(replace(study, target=2.0)) is None
    assert effort_until_target(replace(study, target=None)) is None
