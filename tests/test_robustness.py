"""Tables of the studies of robustness, from made-up cells and from a made-up sweep."""

from __future__ import annotations

import importlib
import itertools
import json
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CELLS = {
    "mean": {"nobody": 0.9, "alie": 0.8, "adaptive": 0.1},
    "caf": {"nobody": 0.8, "alie": 0.76, "adaptive": 0.72},
    "dnc": {"nobody": 0.85, "alie": 0.82, "adaptive": 0.7},
}


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("robustness_tables")


@pytest.fixture
def compositions(tables):
    return importlib.import_module("compositions")


def lines_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_worst_case_is_of_an_attack_and_the_best_worst_case_comes_first(tables):
    assert lines_of(tables.worst_table(CELLS))[2:] == [
        ["`caf`", ".800", ".720", "90 %", "`adaptive`"],
        ["`dnc`", ".850", ".700", "82 %", "`adaptive`"],
        ["`mean`", ".900", ".100", "11 %", "`adaptive`"],
    ]
    idle = {"caf": {"nobody": 0.1, "alie": 0.76}}  # learns less without attackers than with them
    assert lines_of(tables.worst_table(idle))[2][2] == ".760"


def test_settings_stand_beside_each_other_in_the_order_of_the_first(tables):
    worse = {rule: {**row, "alie": 0.05} for rule, row in CELLS.items()}
    head, _, first, *_ = lines_of(tables.settings_table({"a": CELLS, "b": worse}))
    assert head == ["rule", "a", "b"]
    assert first == ["`caf`", ".80 / .72 (adaptive)", ".80 / .05 (alie)"]


def test_each_attack_has_its_two_best_rules_and_an_unknown_one_the_best_worst_case(tables):
    assert lines_of(tables.threat_table(CELLS))[2:] == [
        ["`alie`", "`dnc`", ".820", "`mean`", ".800", ".800"],
        ["`adaptive`", "`caf`", ".720", "`dnc`", ".700", ".100"],
        ["**any of them**", "`caf`", ".720", "`dnc`", ".700", ".100"],
    ]


def test_a_rule_that_never_broke_bears_more_than_was_measured(tables):
    broken = {"mean": [0.0, 0.21], "caf": [0.1, math.nan]}
    made = lines_of(tables.breaking_table(["1", "∞"], broken, {"closed": [0.05, 0.4]}, 0.45))
    assert made[0] == ["total ε", "`mean`", "`caf`", "closed"]
    assert made[2:] == [["1", ".00", ".10", ".05"], ["∞", ".21", "> .45", ".40"]]


def test_a_budget_gets_the_rule_that_bears_most_and_then_the_more_accurate_one(tables):
    broken = {"a": [0.1, math.nan, 0.2], "b": [0.2, math.nan, 0.1]}
    clean = {"a": [0.9, 0.8, 0.5], "b": [0.5, 0.9, 0.9]}
    made = lines_of(tables.budget_table(["1", "8", "∞"], broken, clean, 0.45))[2:]
    assert made == [
        ["1", "`b`", ".20", ".500"],
        ["8", "`b`", "> .45", ".900"],
        ["∞", "`a`", ".20", ".500"],
    ]


def test_each_number_of_holders_gets_the_rule_that_is_best_under_attack(tables):
    ten = {"mean": {"0": 0.9, "0.2": 0.3}, "caf": {"0": 0.8, "0.2": 0.7}}
    fifty = {"mean": {"0": 0.9, "0.2": 0.6}, "caf": {"0": 0.8, "0.2": 0.5}}
    assert lines_of(tables.holders_table({"10": ten, "50": fifty}))[2:] == [
        ["10", "`caf`", ".800", ".700", ".900", ".300"],
        ["50", "`mean`", ".900", ".600", ".900", ".600"],
    ]


def test_a_composition_is_compared_with_the_mean_and_keeps_part_of_its_own_accuracy(tables):
    measured = {"nobody": 0.01, "alie": math.nan, "poisoned": 0.2}
    rows = {rule: {"accuracy": CELLS[rule], "backdoor": measured} for rule in ("mean", "caf")}
    rows["mean"]["backdoor"] = {"nobody": 0.0, "poisoned": 0.9, "adaptive": math.nan}
    made = lines_of(tables.composition_table({"digits": (rows["caf"], rows["mean"])}))
    assert made[2] == [
        "digits", ".900", ".100", ".800", ".720", "90 %", "`adaptive`", ".000 / .900", ".010 / .200"
    ]  # fmt: skip
    assert len(made[0]) == len(made[2])


def test_a_rule_on_scans_keeps_a_part_of_its_gain_over_the_better_baseline(tables):
    row = {"iou": {"nobody": 0.6, "alie": 0.58, "poisoned": 0.5}, "backdoor": {"nobody": 0.1}}
    row["backdoor"] |= {"alie": math.nan, "poisoned": 0.3}
    assert lines_of(tables.gain_table({"dnc": row}, 0.2))[2:] == [
        ["`dnc`", ".600", ".500", "75 %", "`poisoned`", ".100 / .300"],
        ["the better baseline", ".200", "", "", "", ""],
    ]
    assert lines_of(tables.attack_table(row["iou"], 0.2))[2:] == [
        ["`poisoned`", ".500", "75 %"],
        ["`alie`", ".580", "95 %"],
        ["nobody attacks", ".600", "100 %"],
    ]


def test_the_floor_of_scans_is_the_better_baseline_of_each_seed(compositions, tmp_path):
    rows = ["attacks[0],seed,run,status,error,iou"]
    for seed, scores in enumerate(((0.2, 0.1), (0.1, 0.3))):
        rows += [f"a,{seed},r{seed},finished,,0.5", f"b,{seed},r{seed},finished,,0.6"]
        folder = tmp_path / "runs" / f"r{seed}"
        folder.mkdir(parents=True)
        named = {name: {"iou": score} for name, score in zip("xy", scores, strict=True)}
        (folder / "manifest.json").write_text(json.dumps({"baselines": named}))
    outcome = swept(tmp_path, {}, rows)
    assert importlib.import_module("scan_attacks").floor_of(outcome) == pytest.approx(0.25)


def test_only_the_attacks_that_install_a_backdoor_have_its_success(tables):
    assert tables.successes({"alie": math.nan, "nobody": 0.3, "a": 0.4, "b": 0.5}) == ".300 / .500"


def test_a_row_has_the_means_over_seeds_and_nan_where_a_metric_is_not_measured(
    compositions, tmp_path
):
    grid = {"attacks[0]": ["{kind: alie, count: 0}", "{kind: mimic, count: 4}"]}
    rows = [f'"{grid["attacks[0]"][a]}",{s},r,finished,,{a + s},{"" if a else s}'
            for a, s in itertools.product(range(2), repeat=2)]  # fmt: skip
    outcome = swept(tmp_path, grid, ["attacks[0],seed,run,status,error,accuracy,backdoor", *rows])
    assert compositions.row_of(outcome, "accuracy") == {"nobody": 0.5, "mimic": 1.5}
    found = compositions.row_of(outcome, "backdoor")
    assert found["nobody"] == 0.5
    assert math.isnan(found["mimic"])


def test_a_backdoor_has_its_success_beside_the_accuracy_for_every_momentum(compositions, tmp_path):
    grid = {
        "attacks[0]": ["{kind: poisoned, count: 0}", "{kind: poisoned, count: 4}"],
        "nodes.momentum": ["null", "{kind: ema, beta: 0.7}"],
        "aggregation": ["{kind: mean}", "{kind: dnc}"],
    }
    rows = ["attacks[0],nodes.momentum,aggregation,seed,run,status,error,accuracy,backdoor"]
    for a, m, r in itertools.product(range(2), repeat=3):
        texts = (grid[key][i] for key, i in zip(grid, (a, m, r), strict=True))
        rows.append(",".join(f'"{t}"' for t in texts) + f",0,r,finished,,0.{a}{m}{r},0.{r}{m}{a}")
    made = lines_of(compositions.of_backdoors([swept(tmp_path, grid, rows)]))
    words = "no momentum: nobody attacks", "no momentum: `poisoned`"
    assert tuple(made[0][:3]) == ("rule", *words)
    assert made[2] == ["`mean`", *(".000 / .000", ".100 / .001", ".010 / .010", ".110 / .011")]
    assert made[3][2] == ".101 / .101"


def swept(folder, grid, lines):
    """Return the outcome of a made-up sweep in a folder."""
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    (folder / "sweep.json").write_text(json.dumps({"grid": grid}))
    return importlib.import_module("page_tables").Outcome(folder, None)


def test_cells_are_means_over_seeds_under_the_labels_of_the_axes(compositions, tmp_path):
    tables = importlib.import_module("page_tables")
    grid = {
        "attacks[0]": ["{kind: alie, count: 0}", "{kind: alie, count: 4}"],
        "aggregation": ["{kind: mean}", "{kind: caf}"],
    }
    rows = ["attacks[0],aggregation,seed,run,status,error,accuracy"]
    for a, b, seed in itertools.product(range(2), repeat=3):
        values = f'"{grid["attacks[0]"][a]}",{grid["aggregation"][b]}'
        rows.append(f"{values},{seed},r{a}{b}{seed},finished,,{a + b / 2 + seed / 4}")
    (tmp_path / "points.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "sweep.json").write_text(json.dumps({"grid": grid}))
    cells = compositions.cells_of(tables.Outcome(tmp_path, None), "aggregation", "attacks[0]")
    assert cells == {
        "mean": {"nobody": 0.125, "alie": 1.125},
        "caf": {"nobody": 0.625, "alie": 1.625},
    }
