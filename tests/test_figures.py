"""Every picture and every measured table of the pages has one command that makes it."""

from __future__ import annotations

import csv
import doctest
import importlib
import json
import shlex
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from command_line import call

from fedchain.sweeps.plan import Plan

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLE = "| a | b |\n| --- | --- |\n| x | .5 ± .1 |\n"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("figures")


@pytest.fixture
def small(figures, monkeypatch, tmp_path):
    """One picture, one page with one table, and a maker of both, in a folder of their own."""
    tables = importlib.import_module("page_tables")
    makers = importlib.import_module("makers")
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    (tmp_path / "docs" / "pictures" / "a.png").write_text("old")
    page = f"<!-- made by one -->\n{TABLE}<!-- end -->\nwords\n"
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    made = makers.Text("README.md", lambda done: tables.table(["n"], [[str(done[0].told)]]))
    draws = "open(r'{out}/a', 'w').write('new'); print(3)"
    one = makers.Maker(
        commands=(f'python -c "{draws}"',),
        minutes=1,
        pictures={"a.png": "a"},
        texts={"": made},
    )
    monkeypatch.setattr(figures, "HOME", tmp_path)
    monkeypatch.setattr(figures, "WORK", tmp_path / "work")
    monkeypatch.setattr(figures, "PICTURES", tmp_path / "docs" / "pictures")
    monkeypatch.setattr(figures, "MAKERS", {"one": one})
    return tmp_path


def test_every_picture_and_every_measured_table_has_one_maker(figures):
    assert figures.problems() == []


def test_every_maker_makes_something_that_a_page_shows(figures):
    shown = "".join(figures.read(page) for page in figures.pages())
    for name, maker in figures.MAKERS.items():
        assert figures.targets(name, maker), name
        assert all(f"pictures/{picture})" in shown for picture in maker.pictures), name


def test_every_measured_table_of_the_readme_says_on_which_machine(figures):
    text = figures.read("README.md")
    for name in ("results", "convergence"):
        made = text.partition(f"<!-- made by {name} -->")[2].partition("<!-- end -->")[0]
        assert "\n\nMean and 95 % interval (Student's t) over the seeds. Measured on " in made
        assert " cores, torch " in made


def test_the_examples_of_the_modules_hold(figures):
    for name in ("figures", "marks", "page_tables", "rho", "robustness", "robustness_tables"):
        assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_a_maker_writes_its_picture_and_its_table_between_the_marks(figures, small):
    assert figures.problems() == []
    assert figures.make_all(["one"]) == 0
    assert (small / "docs" / "pictures" / "a.png").read_text() == "new"
    text = (small / "README.md").read_text(encoding="utf-8")
    assert text == "<!-- made by one -->\n| n |\n| --- |\n| 3 |\n<!-- end -->\nwords\n"


@pytest.mark.parametrize("broken", ["the command fails", "no picture", "no marks", "Ctrl-C"])
def test_a_maker_that_fails_or_is_interrupted_changes_nothing(figures, small, monkeypatch, broken):
    before = (small / "README.md").read_text(encoding="utf-8")
    one, told = figures.MAKERS["one"], 1
    if broken == "the command fails":
        one = replaced(one, commands=(*one.commands, "python -c 1/0"))
    elif broken == "no picture":
        one = replaced(one, pictures={"a.png": "another"})
    elif broken == "no marks":
        one = replaced(one, texts={"more": one.texts[""]})
    else:
        told = 130
        monkeypatch.setattr(figures, "filled", interrupted)
    monkeypatch.setattr(figures, "MAKERS", {"one": one})
    assert figures.make_all(["one"]) == told
    assert (small / "docs" / "pictures" / "a.png").read_text() == "old"
    assert (small / "README.md").read_text(encoding="utf-8") == before


def replaced(maker, **changes):
    return type(maker)(**{**vars(maker), **changes})


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_what_has_no_maker_or_two_is_found(figures, small, monkeypatch):
    (small / "docs" / "pictures" / "b.png").write_text("nobody's")
    with (small / "README.md").open("a", encoding="utf-8") as page:
        page.write(f"\n<!-- made by nobody -->\n<!-- end -->\n\n{TABLE}")
    monkeypatch.setattr(figures, "MAKERS", {**figures.MAKERS, "two": figures.MAKERS["one"]})
    assert figures.problems() == [
        "docs/pictures/b.png: has no maker",
        "docs/pictures/a.png: has 2 makers",
        "README.md: nobody: has no maker",
        "README.md: two: has no marks",
        "README.md: | a | b |: a table without a mark",
    ]


@pytest.fixture
def sweep(figures, tmp_path):
    """A sweep over two kinds, two epsilons and two seeds, and the output of its command."""
    points = ["kind,privacy.epsilon,seed,run,status,error,accuracy"]
    for kind, score in (("a", 0.5), ("b", 0.7)):
        for epsilon, more in (("1", 0.0), ("inf", 0.2)):
            found = ((seed, score + more + 0.01 * seed) for seed in range(2))
            points += [f"{kind},{epsilon},{s},r{s},finished,,{value}" for s, value in found]
    (tmp_path / "points.csv").write_text("\n".join(points) + "\n")
    grid = {"kind": ["a", "b"], "privacy.epsilon": ["1", "inf"]}
    (tmp_path / "sweep.json").write_text(json.dumps({"grid": grid}))
    return [importlib.import_module("page_tables").Outcome(tmp_path, None)]


def test_a_grid_becomes_a_table_of_means_with_their_intervals(sweep):
    tables = importlib.import_module("page_tables")
    columns = tables.Axis("", ("privacy.epsilon",), ("ε 1", "none"))
    made = tables.grid_table([tables.Axis("who", ("kind",), ("A", "B"))], columns, "accuracy")
    assert made(sweep).splitlines() == [
        "| who | ε 1 | none |",
        "| --- | --- | --- |",
        "| A | .505 ± .064 | .705 ± .064 |",
        "| B | .705 ± .064 | .905 ± .064 |",
    ]
    both = tables.Axis("who, ε", ("kind", "privacy.epsilon"))
    assert "| b, inf | .905 ± .064 |" in tables.grid_table(
        [both], tables.Axis("", (), ("score",)), "accuracy"
    )(sweep)


def as_if_run(command, folder):
    """Return a sweep's folder as it would be after its runs, with made-up scores."""
    quick = {"checking.check_parts": None, "plan.plan_of": Plan(1, None, None)}  # not of interest
    with ExitStack() as patches:
        for name, answer in quick.items():
            patches.enter_context(patch(f"fedchain.sweeps.{name}", return_value=answer))
        told = call(*shlex.split(command)[1:], "--dry-run", "--format", "json")
    assert told.code == 0, told.err
    points = json.loads(told.out)["points"]
    keys = [key for key in points[0] if key not in ("seed", "run")]
    grid = {key: list(dict.fromkeys(point[key] for point in points)) for key in keys}
    for number, point in enumerate(points):
        score = 0.5 + 7 * number % 11 / 100
        point |= {"status": "finished", "accuracy": score, "iou": score, "backdoor": score}
        known = {"keep_everything": {"iou": 0.2}, "public_only": {"accuracy": 0.4}}
        (folder / "runs" / point["run"]).mkdir(parents=True, exist_ok=True)
        arithmetic = {"cpu_capability": "AVX2", "kernels": "compiled"}
        (folder / "runs" / point["run"] / "manifest.json").write_text(
            json.dumps({"baselines": known, "arithmetic": arithmetic})
        )
    (folder / "sweep.json").write_text(json.dumps({"grid": grid}))
    with (folder / "points.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, list(points[0]))
        rows.writeheader()
        rows.writerows(points)
    return importlib.import_module("page_tables").Outcome(folder, None)


def test_the_axes_of_every_table_fit_the_sweeps_that_it_is_made_of(figures, tmp_path):
    made, left_out = 0, {*OF_REPORTS, *matrices(), "robust_and_private"}
    for name, maker in figures.MAKERS.items():
        if not maker.commands[0].startswith("fedchain sweep") or name in left_out:
            continue
        outcomes = []
        for number, command in enumerate(maker.commands):
            (tmp_path / name / str(number)).mkdir(parents=True)
            outcomes.append(as_if_run(command, tmp_path / name / str(number)))
        for text in maker.texts.values():
            head, *lines = text.made(outcomes).splitlines()
            page = (figures.HOME / text.page).read_text(encoding="utf-8")
            assert head in page, name
            rows = [line for line in lines if line.startswith("|")]
            assert all(line.count(" | ") == head.count(" | ") for line in rows)
            made += 1
    assert made >= 25


OF_REPORTS = (
    "stale_blocks", "selfish_mining", "double_spend", "block_interval", "print", "results",
)  # fmt: skip
"""Makers whose tables come from the tables of a report or from manifests, not from points.csv."""


def test_the_sweeps_of_robustness_have_the_axes_that_their_tables_read(figures):
    robustness = importlib.import_module("robustness")
    for name, maker in matrices().items():
        for command in maker.commands:
            words = shlex.split(command)
            text = (figures.HOME / "scenarios" / f"{words[2]}.yaml").read_text("utf-8")
            axes = {line.strip().partition(":")[0] for line in text.splitlines()}
            assert {*text_axes(robustness, name)} <= axes, name


def matrices():
    """Return the makers of docs/robustness.md that are not about the composition."""
    robustness, other = (importlib.import_module(name) for name in ("robustness", "compositions"))
    return {name: robustness.MAKERS[name] for name in robustness.MAKERS.keys() - other.MAKERS}


def text_axes(robustness, name):
    """Return the grid keys that the tables of a maker read."""
    if name == "byzantine_share":
        return robustness.RULE, robustness.SHARE
    if name == "privacy_and_robustness":
        return robustness.RULE, robustness.SHARE, "privacy.epsilon"
    if name == "momentum_and_attackers":
        return robustness.RULE, robustness.MOMENTUM, robustness.COUNT
    return robustness.RULE, robustness.ATTACK


def test_a_sweep_that_has_not_finished_makes_no_table(sweep):
    tables = importlib.import_module("page_tables")
    file = sweep[0].folder / "points.csv"
    file.write_text(file.read_text().replace("r1,finished", "r1,waiting", 1))
    made = tables.grid_table([], tables.Axis("", ("kind",)), "accuracy")
    with pytest.raises(ValueError, match="1 runs have not finished, such as r1"):
        made(sweep)


def test_a_law_stands_beside_what_was_measured(figures, tmp_path):
    tables = importlib.import_module("page_tables")
    rows = ["curve,x,n,measured_mean,measured_low,measured_high,law"]
    rows += ["g 0,0.25,5,0.1,0.08,0.12,0.11", "g 1,0.25,5,0.2,0.18,0.22,0.21"]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a_against_b.csv").write_text("\n".join(rows) + "\n")
    made = tables.law_table("share", ["γ = 0", "γ = 1"])([tables.Outcome(tmp_path, None)])
    assert made.splitlines()[0] == "| share | γ = 0 | law | γ = 1 | law |"
    assert made.splitlines()[2] == "| .250 | .100 ± .020 | .110 | .200 ± .020 | .210 |"


def test_a_command_names_the_folder_that_it_left(figures):
    assert figures.folder_of({"sweep": "sweeps/a"}) == Path("sweeps/a")
    assert figures.folder_of({"run": "runs/a", "files": []}) == Path("runs/a")
    files = ["audits/a/figures/b.png", "audits/a/audit.json"]
    assert figures.folder_of({"attacks": {}, "files": files}) == Path("audits/a")
    assert figures.folder_of({"files": ["runs/a/figures/b.png"]}) == Path()  # of a report


def test_colluders_rank_first_from_the_closed_number_on(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    rho = importlib.import_module("rho")
    noise = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 21)))[0].T
    gradient, others = noise[0], noise[1:]  # honest holders differ in directions of their own
    for cosine in (0.1, 0.3, 0.5, 0.9):
        honest = cosine * gradient + np.sqrt(1 - cosine**2) * others
        np.testing.assert_allclose(rho.cosines(7 * honest, 3 * gradient), cosine)
        found = rho.colluders_in(honest, gradient)
        assert found == rho.colluders_of(cosine, 20)
        for count, captured in ((found - 1, False), (found, True)):
            total = honest.sum(axis=0) - count * gradient
            assert ((honest @ total).mean() < -gradient @ total) == captured


def test_an_exponential_average_of_a_steady_gradient_has_the_cosine_of_the_formula(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    rho = importlib.import_module("rho")
    generator, beta = np.random.default_rng(0), 0.7
    gradient, spread = np.eye(1000)[0], 0.5 * np.eye(1000)[1]
    mean = gradient + spread
    for _ in range(30):
        noise = generator.normal(size=1000) * 3 / np.sqrt(1000)
        mean = beta * mean + (1 - beta) * (gradient + spread + noise)
    found = rho.cosines(mean[None], gradient)[0]
    assert abs(found - rho.rho_of(1.0, 0.25, 9.0, beta)) < 0.05


def test_tables_of_momentum_have_a_row_for_each_epsilon_and_both_steps(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    tables = importlib.import_module("momentum_tables")
    cells = [
        {"step": step, "epsilon": epsilon, "beta": beta, "rho": rho, "formula": 2 * rho,
         "captured": 3.5, "closed": 3.0 + (epsilon > 2), "accuracy": step + beta, "auc": rho}
        for step in (0.03, 0.1)
        for epsilon in (2.0, float("inf"))
        for beta, rho in ((0.0, 0.125), (0.9, 0.25), (0.95, 0.5))
    ]  # fmt: skip
    outcomes = [importlib.import_module("page_tables").Outcome(Path(), cells)]
    assert tables.momentum_table(outcomes).splitlines()[2:] == [
        "| 2 | .125 (3.5) | .250 (3.5) | .500 (3.5) |",
        "| no noise | .125 (3.5) | .250 (3.5) | .500 (3.5) |",
    ]
    row = "| 2 | .030 | .930 | .100 | 1.000 | .125 | .250 |"
    assert row in tables.momentum_worth(outcomes)
    assert "is .50 to .50 times" in tables.momentum_closed(outcomes)
