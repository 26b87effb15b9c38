"""The rounds of a sweep in one table, reports of what is not finished, and files of old reports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from made_up import make_run, make_sweep

from fedchain.errors import MissingExtra, NothingYet, RunError
from fedchain.reports import curves
from fedchain.reports.opening import open_study
from fedchain.reports.report import report
from fedchain.reports.words import partial_words


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def written(folder: Path) -> set[str]:
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {file for file in files if not file.startswith("runs/")}


def unfinished_sweep(folder: Path, statuses: list[str], rounds: list[int]) -> None:
    lines = ["aggregation,seed,run,status,error"]
    for seed, (status, count) in enumerate(zip(statuses, rounds, strict=True)):
        name = f"r{seed}"
        if count:
            make_run(folder / "runs" / name, rounds=count, seed=seed, status=status)
        lines.append(f"{{kind: krum}},{seed},{name},{status},")
    told = {"format": 1, "name": "half", "grid": {"aggregation": ["{kind: krum}"]}}
    told |= {"description": "", "seeds": 3, "x": None, "y": "accuracy"}
    (folder / "sweep.json").write_text(json.dumps(told))
    (folder / "points.csv").write_text("\n".join(lines) + "\n")


def test_curves_have_a_row_for_every_run_and_round(tmp_path):
    make_sweep(tmp_path)
    report([tmp_path], figures=(), tables=("csv",))
    rows = rows_of(tmp_path / "tables" / "curves.csv")
    assert len(rows) == 3 * 3 * 12
    assert {row["privacy.epsilon"] for row in rows} == {"0.5", "2.0", "inf"}
    assert {(row["seed"], row["round"]) for row in rows} == {
        (str(seed), str(number)) for seed in range(3) for number in range(1, 13)
    }
    told = {"accuracy", "loss", "used", "byzantine", "byzantine_used", "epsilon", "status"}
    assert told <= rows[0].keys()
    assert not [name for name in rows[0] if name.startswith("seconds_")]


def test_curves_name_their_parts_as_the_figures_do(tmp_path):
    unfinished_sweep(tmp_path, ["finished"], [2])
    report([tmp_path], figures=(), tables=("csv",))
    assert {row["aggregation"] for row in rows_of(tmp_path / "tables" / "curves.csv")} == {"krum"}


def test_an_unfinished_run_is_in_the_curves_as_far_as_it_came_and_not_in_the_means(tmp_path):
    unfinished_sweep(tmp_path, ["finished", "interrupted", "waiting"], [4, 2, 0])
    report([tmp_path], figures=("svg",), tables=("csv", "md"))
    rows = rows_of(tmp_path / "tables" / "curves.csv")
    assert [(row["status"], row["round"]) for row in rows] == [
        *(("finished", str(number)) for number in range(1, 5)),
        ("interrupted", "1"),
        ("interrupted", "2"),
    ]
    (point,) = rows_of(tmp_path / "tables" / "points.csv")
    assert point["n"] == "1"
    said = "Partial: 2 of 3 runs left out, without a result (1 interrupted, 1 waiting)"
    assert said in (tmp_path / "tables" / "points.md").read_text("utf-8")
    assert said in (tmp_path / "report.html").read_text("utf-8")


def test_a_sweep_without_any_result_shows_what_there_is_and_says_so(tmp_path):
    unfinished_sweep(tmp_path, ["interrupted", "failed", "waiting"], [3, 2, 0])
    study = open_study(tmp_path)
    assert len(study.runs) == 2
    assert partial_words(study) == (
        "Partial: no run has a result yet (1 failed, 1 interrupted, 1 waiting); all values are "
        "those so far"
    )
    report([tmp_path], figures=(), tables=("csv",))
    assert len(rows_of(tmp_path / "tables" / "curves.csv")) == 5


def test_a_sweep_without_any_round_has_no_report(tmp_path):
    unfinished_sweep(tmp_path, ["waiting"], [0])
    with pytest.raises(NothingYet, match="no point has a round yet"):
        report([tmp_path])


def test_the_report_of_an_interrupted_run_says_how_far_it_came(tmp_path):
    make_run(tmp_path, rounds=5, status="interrupted")
    report([tmp_path], figures=(), tables=("md",))
    assert "Partial: the run is interrupted after 5 of " in (tmp_path / "report.html").read_text()


def test_a_whole_study_lacks_nothing(tmp_path):
    unfinished_sweep(tmp_path, ["finished", "budget_exhausted"], [4, 4])
    assert partial_words(open_study(tmp_path)) == ""


def test_a_new_report_removes_what_an_old_one_left_and_nothing_else(tmp_path):
    make_sweep(tmp_path)
    report([tmp_path], figures=("pdf", "png"), tables=("csv", "tex"))
    for own in ("figures/mine.png", "tables/mine.csv"):
        (tmp_path / own).write_text("mine")
    before = written(tmp_path)
    report([tmp_path], figures=("png",), tables=("csv",))
    gone = before - written(tmp_path)
    assert gone == {name for name in before if name.endswith((".pdf", ".tex"))}
    assert gone
    assert {"figures/mine.png", "tables/mine.csv", "report.html"} <= written(tmp_path)


def test_a_page_for_all_removes_the_old_page_of_the_folder(tmp_path):
    make_sweep(tmp_path / "sweep")
    report([tmp_path / "sweep"], figures=(), tables=("csv",))
    report([tmp_path / "sweep"], figures=(), tables=("csv",), html=tmp_path / "all.html")
    assert not (tmp_path / "sweep" / "report.html").exists()
    assert (tmp_path / "all.html").exists()


@pytest.mark.parametrize("name", ["../points.csv", "points.csv", "figures/..", "figures/a/b", 3])
def test_an_index_that_names_other_files_is_refused_and_removes_nothing(tmp_path, name):
    make_sweep(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"files": [name]}))
    with pytest.raises(RunError, match=r"report\.json: must list files of figures/ and tables/"):
        report([tmp_path], figures=(), tables=("csv",))
    assert (tmp_path / "points.csv").exists()


def test_a_parquet_file_holds_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    make_sweep(tmp_path)
    report([tmp_path], figures=(), tables=("csv", "parquet"))
    table = parquet.read_table(tmp_path / "tables" / "curves.parquet")
    rows = rows_of(tmp_path / "tables" / "curves.csv")
    assert table.column_names == list(rows[0])
    assert [str(value) for value in table["accuracy"].to_pylist()] == [
        row["accuracy"] for row in rows
    ]


def test_parquet_without_its_package_says_how_to_get_it_and_writes_nothing(tmp_path, monkeypatch):
    make_sweep(tmp_path)
    before = written(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[parquet\]'"):
        report([tmp_path], tables=("parquet",))
    assert written(tmp_path) == before


def test_numbers_and_texts_in_a_column_become_texts():
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"x": 1, "y": 1, "z": None}, {"x": 0.5, "y": "krum", "z": None}]
    table = parquet.read_table(io.BytesIO(curves.parquet(rows)))
    assert table.to_pylist() == [
        {"x": 1.0, "y": "1", "z": None},
        {"x": 0.5, "y": "krum", "z": None},
    ]
