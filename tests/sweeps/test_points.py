import pytest

from fedchain.errors import ScenarioError
from fedchain.scenario import Scenario, from_mapping
from fedchain.sweeps.points import points_of, sweep_name, with_seeds


def scenario(**changes: object) -> Scenario:
    values: dict[str, object] = {
        "version": 1,
        "name": "small",
        "seed": 7,
        "rounds": 2,
        "task": {"kind": "breast_cancer"},
        "nodes": {"holders": 4, "compute": 1},
        "privacy": {"kind": "gaussian", "epsilon": 4.0, "clip": 1.0},
        "aggregation": {"kind": "l_nearest", "keep": 3},
        "sweep": {"grid": {"privacy.epsilon": [1.0, float("inf")], "rounds": [2, 3]}, "seeds": 2},
    }
    return from_mapping({**values, **changes})


def test_every_combination_is_run_with_every_seed() -> None:
    points = points_of(scenario())
    found = [(*p.values.values(), p.scenario.seed, p.scenario.rounds) for p in points]
    inf = float("inf")
    assert found == [
        (1.0, 2, 7, 2),
        (1.0, 2, 8, 2),
        (1.0, 3, 7, 3),
        (1.0, 3, 8, 3),
        (inf, 2, 7, 2),
        (inf, 2, 8, 2),
        (inf, 3, 7, 3),
        (inf, 3, 8, 3),
    ]
    assert len(points) == 8
    assert len({p.run for p in points}) == 8


def test_the_points_are_those_of_a_scenario_that_says_the_value_itself() -> None:
    point = points_of(scenario())[0]
    alone = scenario(privacy={"kind": "gaussian", "epsilon": 1.0, "clip": 1.0}, sweep=None)
    assert point.scenario == alone


def test_an_axis_of_kinds_keeps_what_was_written_and_no_defaults_of_the_old_kind() -> None:
    kinds = {"task.kind": ["scan_segmentation"], "privacy.kind": ["skellam", "none"]}
    skellam, none = (p.scenario for p in points_of(scenario(sweep={"grid": kinds})))
    assert skellam.task.parameters["model"].kind == "gajdosech_unet"
    assert skellam.task.parameters["held_out"] == 400
    assert (skellam.privacy.kind, skellam.privacy.parameters["clip"]) == ("skellam", 1.0)
    assert none.privacy.plain() == {"kind": "none"}


def test_without_axes_only_the_seed_changes() -> None:
    points = points_of(scenario(sweep={"grid": {}, "seeds": 3}))
    assert [(dict(p.values), p.scenario.seed) for p in points] == [({}, 7), ({}, 8), ({}, 9)]


def test_another_number_of_seeds_keeps_the_folder_and_the_runs() -> None:
    few, many = points_of(scenario(), seeds=1), points_of(scenario(), seeds=3)
    assert {p.run for p in few} < {p.run for p in many}
    assert len(many) == 12
    grid = {"privacy.epsilon": [1.0, float("inf")], "rounds": [2, 3]}
    assert sweep_name(scenario()) == sweep_name(scenario(sweep={"grid": grid, "seeds": 9}))


def test_another_grid_or_first_seed_is_another_folder() -> None:
    names = {
        sweep_name(scenario()),
        sweep_name(scenario(seed=8)),
        sweep_name(scenario(sweep={"grid": {"rounds": [2, 3]}, "seeds": 2})),
        sweep_name(scenario(sweep={"grid": {"rounds": [3, 2]}, "seeds": 2})),
    }
    assert len(names) == 4


def test_a_scenario_without_a_sweep_is_refused_with_an_example() -> None:
    with pytest.raises(ScenarioError, match="sweep: is missing; write for example"):
        points_of(scenario(sweep=None))


@pytest.mark.parametrize(
    ("grid", "seeds"),
    [
        ({"privacy.epsilon": [1, 1.0]}, 1),
        ({"seed": [0, 1]}, 2),
        ({"engine.workers": [1, 2]}, 1),
        ({"rounds": [2, 3, 2]}, 1),
    ],
)
def test_two_points_that_are_one_run_are_refused(grid: dict[str, object], seeds: int) -> None:
    with pytest.raises(ScenarioError, match=r"sweep\.grid: .* are one run at seed \d"):
        points_of(scenario(sweep={"grid": grid, "seeds": seeds}))


def test_seeds_that_do_not_overlap_are_points_of_their_own() -> None:
    points = points_of(scenario(sweep={"grid": {"seed": [0, 2]}, "seeds": 2}))
    assert [point.scenario.seed for point in points] == [0, 1, 2, 3]


def test_less_than_one_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seeds: must be at least 1, got 0"):
        points_of(scenario(), seeds=0)


def test_seeds_alone_make_a_sweep_of_one_point() -> None:
    alone = with_seeds(scenario(sweep=None), 3)
    points = points_of(alone, 3)
    assert [(dict(p.values), p.scenario.seed) for p in points] == [({}, 7), ({}, 8), ({}, 9)]
    assert with_seeds(scenario(), 3) == scenario()
    assert with_seeds(scenario(sweep=None), None).sweep is None
