import csv
import io
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import make_block_sweep, make_run, make_sweep
from scipy import stats

from fedchain.reports.opening import open_study
from fedchain.reports.study import capture
from fedchain.reports.table import Table, escape_latex, write_table
from fedchain.reports.tables import tabulate
from fedchain.statistics import Interval

ODD = Table(
    "odd",
    "50 % of a_b",
    (("name", "na|me"), ("value", "value"), ("n", "n")),
    (("a_b & c|d", Interval(0.5, 0.01, 5), 5), ("#1 \\ {x}", Interval(0.25, math.inf, 1), None)),
)


def test_the_table_of_a_sweep_holds_mean_and_interval_over_its_seeds(tmp_path: Path) -> None:
    make_sweep(tmp_path)
    study = open_study(tmp_path)
    (table,) = tabulate(study)
    rows = list(csv.DictReader(io.StringIO(write_table(table, "csv"))))
    assert [row["privacy.epsilon"] for row in rows] == ["0.5", "2", "inf"]
    assert {row["n"] for row in rows} == {"3"}
    finals = [m.metrics[-1]["accuracy"] for m in study.runs if m.values == (2.0,)]
    mean = sum(finals) / 3
    low, high = stats.t.interval(0.95, 2, loc=mean, scale=stats.sem(finals))
    found = [float(rows[1][f"accuracy_{end}"]) for end in ("mean", "low", "high")]
    assert found == pytest.approx([mean, low, high], rel=1e-12)
    assert rows[2]["epsilon_mean"] == ""


def test_a_table_names_blocks_by_what_sets_them_apart(tmp_path: Path) -> None:
    make_block_sweep(tmp_path)
    table, _ = tabulate(open_study(tmp_path))
    assert [row[:3] for row in table.rows[3:9:3]] == [
        ("no groups", "20", "0.5"), ("size 10, honest 0.8", "10", "0.5")
    ]  # fmt: skip


def test_the_tables_of_a_run_show_baselines_and_holders(tmp_path: Path) -> None:
    make_run(tmp_path, attack_from=6)
    metrics, holders, _ = tabulate(open_study(tmp_path))
    assert metrics.rows[0][0] == "accuracy"
    assert metrics.rows[0][2] == 0.1
    rows = list(csv.DictReader(io.StringIO(write_table(holders, "csv"))))
    assert [row["attack"] for row in rows] == [""] * 5 + ["sign_flip"]
    for row in rows:
        assert int(row["used"]) + int(row["left_out"]) + int(row["late"]) == 12


def without_scores(folder: Path) -> None:
    """Take from a run what earlier ones did not record: shares of attackers, scores and name."""
    new = ("share", "score", "byzantine_share")
    lines = [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]
    kept = [{key: value for key, value in event.items() if key not in new} for event in lines]
    (folder / "events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in kept))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["judged_by"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_table_of_the_last_round_says_what_each_message_got_and_why(tmp_path: Path) -> None:
    make_run(tmp_path, rounds=4, holders=5, attack_from=4)
    _, _, last = tabulate(open_study(tmp_path))
    assert last.columns[3] == ("score", "cosine with the sum")
    assert [row[0] for row in last.rows] == [0, 2, 3, 1, 4]  # the largest share first
    assert last.rows[-1] == (4, "sign_flip", 0.0, -0.4, "far from the sum")
    assert last.rows[0] == (0, None, 0.25, 0.5, None)


def test_a_run_without_scores_is_judged_by_the_cosine_that_it_recorded(tmp_path: Path) -> None:
    make_run(tmp_path, rounds=4, holders=5, attack_from=4)
    without_scores(tmp_path)
    study = open_study(tmp_path)
    assert tabulate(study)[2].columns[3] == ("cosine", "cosine with the sum")
    assert tabulate(study)[2].rows[-1] == (4, "sign_flip", None, -0.4, "far from the sum")
    assert capture(study.first) is None


def test_the_public_root_has_its_name_in_place_of_a_number(tmp_path: Path) -> None:
    run = make_run(tmp_path, rounds=2, holders=3)
    messages = [{**row, "members": int(row["holder"] < 2)} for row in run.messages]
    rooted = replace(open_study(tmp_path), runs=(replace(run, messages=messages),))
    _, holders, last = tabulate(rooted)
    assert [row[0] for row in holders.rows] == [0, 1, "root"]
    assert {row[0] for row in last.rows} == {0, 1, "root"}


def test_a_sweep_with_attackers_has_columns_of_what_they_had_and_captured(tmp_path: Path) -> None:
    make_sweep(tmp_path, epsilons=(2.0,))
    assert "capture" not in dict(tabulate(open_study(tmp_path))[0].columns)
    for seed in range(3):
        folder = tmp_path / "runs" / f"made-up-2-s{seed}"
        make_run(folder, epsilon=2.0, seed=seed, attack_from=12, captured=0.1 * (1 + seed))
    (points,) = tabulate(open_study(tmp_path))
    assert points.columns[-2:] == (("byzantine_share", "attackers' share"), ("capture", "capture"))
    share, captured = points.rows[0][-2:]  # over the one round of the attack, 1 of 6 messages
    assert (share.mean, captured.mean) == (pytest.approx(0.2), pytest.approx(2 / 3))


class Counted(list):
    """A list that counts how often it is gone through."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


def test_the_tables_of_a_run_each_go_through_the_messages_once(tmp_path: Path) -> None:
    study = open_study(make_run(tmp_path, rounds=2, holders=30).folder)
    messages = Counted(study.first.messages)
    counted = replace(study, runs=(replace(study.first, messages=messages),))
    assert tabulate(counted) == tabulate(study)
    assert messages.passes == 2


def test_markdown_keeps_its_columns_whatever_the_text() -> None:
    lines = write_table(ODD, "md").splitlines()
    assert lines[0] == r"| na\|me | value | n |"
    assert lines[2] == r"| a_b & c\|d | 0.500 ± 0.010 | 5 |"
    assert lines[3] == r"| #1 \\ {x} | 0.250 | – |"


def test_latex_escapes_every_sign_that_it_would_read() -> None:
    text = write_table(ODD, "tex")
    assert r"a\_b \& c$|$d & 0.500 $\pm$ 0.010 & 5 \\" in text
    assert r"\#1 \textbackslash{} \{x\} & 0.250 & -- \\" in text
    assert r"\caption{50 \% of a\_b.}" in text
    assert [text.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1] * 3
    assert r"\label{tab:odd}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert escape_latex("x^2~$") == r"x\textasciicircum{}2\textasciitilde{}\$"


SIGNS = Table(
    "signs",
    "All [signs]",
    (("a", "[a]"), ("b", "*b*")),
    (("[]", "[{kind: sign_flip}]"), ("*x", "a\nb"), ("\\&%$#_{}~^<>|", "ε ± δ – ∞")),
)


def test_no_latex_row_begins_with_what_the_end_of_a_row_would_take_for_its_option() -> None:
    rows = [line for line in write_table(SIGNS, "tex").splitlines() if " & " in line]
    assert [row.split()[0] for row in rows[:3]] == ["{[}a]", "{[}]", "{*}x"]
    assert "a b" in rows[2]


def test_a_line_break_in_a_cell_does_not_end_a_row_of_markdown() -> None:
    assert [line.count("|") for line in write_table(SIGNS, "md").splitlines()[:4]] == [3] * 4


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles_every_table_with_booktabs_alone(tmp_path: Path) -> None:
    tables = "".join(write_table(each, "tex") for each in (SIGNS, ODD))
    lines = (
        r"\documentclass{article}\usepackage{booktabs}",
        r"\begin{document}",
        tables,
        r"\end{document}",
    )
    (tmp_path / "all.tex").write_text("\n".join(lines))
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    made = subprocess.run(latex, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-2000:]


def test_csv_gives_an_interval_three_columns_and_leaves_unknown_ends_empty() -> None:
    lines = write_table(ODD, "csv").splitlines()
    assert lines[0] == "name,value_mean,value_low,value_high,n"
    assert lines[1] == "a_b & c|d,0.5,0.49,0.51,5"
    assert lines[2] == "#1 \\ {x},0.25,,,"
