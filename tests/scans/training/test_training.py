from dataclasses import replace

import numpy as np
import pytest
import torch
from training_scans import bumpy, folder_of_pairs, write_npz

from fedchain.errors import DataError, RunRefused, ScenarioError
from fedchain.learning.models import seeded
from fedchain.learning.task import losses
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training import checkpoints, training
from fedchain.scans.training.examples import hold_out, statistics_of
from fedchain.scans.training.folders import list_folder
from fedchain.scans.training.model_file import arrays_by_name, module_of, read_model
from fedchain.scans.training.optimisation import (
    Example,
    StepSchedule,
    begin,
    make_adam_step,
    optimise,
    rate_at,
)
from fedchain.scans.training.recipe import Recipe
from fedchain.scans.training.training import train_folder

QUICK = Recipe.of(
    {"steps": 6, "batch": 2, "window": 16, "check_every": 2, "channels": "picture",
     "model.width": 1, "model.levels": 1}
)  # fmt: skip


def weights_in(path):
    return arrays_by_name(read_model(path).module)


def same(left, right):
    return all((left[name] == right[name]).all() for name in left)


def interrupted_at(step):
    def progress(done, total, what):
        if what == "Training" and done == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_training_that_is_interrupted_ends_with_the_same_weights(tmp_path, step):
    folder = folder_of_pairs(tmp_path / "scans")
    whole = train_folder(folder, tmp_path / "whole.npz", QUICK)
    out = tmp_path / "broken.npz"
    with pytest.raises(KeyboardInterrupt):
        train_folder(folder, out, QUICK, progress=interrupted_at(step))
    assert not out.exists()
    steps = []
    told = lambda done, _, what: steps.append((what, done))  # noqa: E731
    resumed = train_folder(folder, out, QUICK, progress=told)
    assert resumed.history == whole.history
    assert next(done for what, done in steps if what == "Training") == (step - 1) // 2 * 2 + 1
    assert same(weights_in(out), weights_in(tmp_path / "whole.npz"))
    assert not checkpoints.checkpoint_of(out).exists()


def test_a_checkpoint_of_other_scans_or_settings_is_refused_and_force_begins_anew(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "model.npz"
    with pytest.raises(KeyboardInterrupt):
        train_folder(folder, out, QUICK, progress=interrupted_at(3))
    other = QUICK.model_copy(update={"seed": 1})
    with pytest.raises(RunRefused, match="of a training with other scans or settings"):
        train_folder(folder, out, other)
    write_npz(folder / "scan_000.npz", bumpy(9))
    with pytest.raises(RunRefused, match="of a training with other scans or settings"):
        train_folder(folder, out, QUICK)
    train_folder(folder, out, other, force=True)
    with pytest.raises(RunRefused, match="is there already"):
        train_folder(folder, out, other)


def test_a_damaged_checkpoint_is_refused_with_one_line(tmp_path):
    folder, out = folder_of_pairs(tmp_path / "scans"), tmp_path / "model.npz"
    with pytest.raises(KeyboardInterrupt):
        train_folder(folder, out, QUICK, progress=interrupted_at(3))
    path = checkpoints.checkpoint_of(out)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged"):
        train_folder(folder, out, QUICK)


def test_training_finds_the_dark_points_that_the_cleaning_erased(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=4, more=0)
    recipe = QUICK.model_copy(update={"steps": 60, "batch": 6, "window": 32, "check_every": 20})
    made = train_folder(folder, tmp_path / "model.npz", recipe)
    scores = made.trained.card.scores
    assert scores["keep_everything"]["iou"] < 0.9
    assert scores["model"]["iou"] > 0.95
    assert scores["model"]["ap"] > 0.95
    assert made.trained.card.training["held_out"] == "1 of 4 scans: scan_003"


def test_the_card_says_what_was_read_and_names_no_place_of_the_machine(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    made = train_folder(folder, tmp_path / "model.npz", QUICK)
    card = read_model(tmp_path / "model.npz").card
    assert card.trained_on.startswith("2 cleaned scans of ")
    assert card.training["scans"] == ["scan_000", "scan_001"]
    assert str(tmp_path) not in card.model_dump_json()
    assert [scan.name for scan in made.folder.scans if scan.truth is None] == ["scan_002"]


def test_a_training_stops_when_the_loss_on_the_held_out_points_no_longer_falls(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    recipe = QUICK.model_copy(
        update={"steps": 100, "learning_rate": 10.0, "patience": 1, "check_every": 1}
    )
    made = train_folder(folder, tmp_path / "model.npz", recipe)
    best = min(made.history, key=lambda each: each[1])
    assert (made.steps, made.best_step) == (best[0] + 1, best[0])
    assert made.steps < 100


def test_a_training_that_is_interrupted_after_its_last_measurement_makes_no_further_step(
    tmp_path, monkeypatch
):
    folder, save = folder_of_pairs(tmp_path / "scans"), checkpoints.save_checkpoint
    recipe = QUICK.model_copy(
        update={"steps": 100, "learning_rate": 10.0, "patience": 1, "check_every": 1}
    )
    whole = train_folder(folder, tmp_path / "whole.npz", recipe)

    def save_and_stop(path, key, state):
        save(path, key, state)
        if state.step == whole.steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_checkpoint", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_folder(folder, tmp_path / "broken.npz", recipe)
    resumed = train_folder(folder, tmp_path / "broken.npz", recipe)
    assert (resumed.steps, resumed.history) == (whole.steps, whole.history)


def test_weights_that_are_not_finite_are_not_written(tmp_path, monkeypatch):
    def diverge(state, *_):
        next(state.module.parameters()).data.fill_(np.nan)

    monkeypatch.setattr(training, "optimise", diverge)
    out = tmp_path / "model.npz"
    with pytest.raises(RunRefused, match=r"not finite with learning_rate 0\.003"):
        train_folder(folder_of_pairs(tmp_path / "scans"), out, QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["scans"]


def test_channels_that_compare_with_views_need_a_view(tmp_path):
    recipe = QUICK.model_copy(update={"channels": "views"})
    with pytest.raises(DataError, match=r"scan_000\.npz: no other scan of its set is a view of it"):
        train_folder(folder_of_pairs(tmp_path / "scans"), tmp_path / "model", recipe)


def example(name="a", seed=0):
    scan = bumpy(seed)
    image = np.nan_to_num(scan.intensity)[None]
    return Example(name, image, scan.valid, scan.keep, np.zeros(scan.valid.shape, bool))


def test_every_fifth_tile_or_scan_is_held_out():
    (held,) = hold_out([example()], "tiles", 8, 0)
    tiles = held.held_out.reshape(5, 8, 6, 8).any(axis=(1, 3))
    assert tiles.sum() == 30 // 5
    assert (held.held_out.reshape(5, 8, 6, 8).all(axis=(1, 3)) == tiles).all()
    three = [example(str(i), i) for i in range(3)]
    assert [e.held_out.all() for e in hold_out(three, "auto", 8, 0)] == [False, False, True]
    seven = hold_out([example(str(i), i) for i in range(7)], "auto", 8, 0)
    assert [e.name for e in seven if e.held_out.all()] == ["1", "6"]
    assert sum(e.held_out.all() for e in hold_out([example()] * 100, "auto", 8, 0)) <= 8
    assert not any(e.held_out.any() for e in hold_out(three, "none", 8, 0))
    with pytest.raises(DataError, match="the only pair"):
        hold_out([example()], "scans", 8, 0)


def test_statistics_and_training_never_see_the_points_that_are_held_out(tmp_path):
    (held,) = hold_out([example()], "tiles", 8, 0)
    changed = held.image.copy()
    changed[:, held.held_out | ~held.valid] = 1e6
    (before,) = statistics_of([held], ["light"], 0)
    assert statistics_of([replace(held, image=changed)], ["light"], 0) == [before]
    own = held.image[0][held.valid & ~held.held_out]
    assert before.mean == pytest.approx(own.mean())
    assert before.deviation == pytest.approx(own.std())
    assert (own < before.low).mean() < 0.006


def test_the_rate_rises_from_a_25th_to_its_peak_and_falls_to_nearly_nothing():
    schedule = StepSchedule(100, 1, 16, 0, 0.5, 10, 5, 0)
    rates = [rate_at(step, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 25)
    assert max(rates) == rates[30] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5e-4)
    assert sorted(rates[30:], reverse=True) == rates[30:]


def test_a_recipe_refuses_unknown_keys_and_values_with_what_is_allowed():
    assert Recipe.of({"loss.kind": "dice"}).loss.parameters == {"smooth": 1.0}
    with pytest.raises(ScenarioError, match=r"model\.widht: .*did you mean width"):
        Recipe.of({"model.widht": 3})
    with pytest.raises(ScenarioError, match="steps"):
        Recipe.of({"steps": 0})
    with pytest.raises(ScenarioError, match="model: needs a block with a kind"):
        Recipe.of({"model": "unet", "model.width": 3})
    block = {"kind": "unet"}
    assert Recipe.of({"model.width": 3, "model": block}).model.parameters["width"] == 3
    assert block == {"kind": "unet"}


def test_pairs_without_an_outlier_teach_nothing(tmp_path):
    scan = bumpy()
    write_npz(tmp_path / "scan.npz", replace(scan, keep=scan.valid))
    with pytest.raises(DataError, match="nothing to learn"):
        train_folder(tmp_path, tmp_path / "model", QUICK)


def test_a_folder_without_a_pair_says_what_a_pair_is(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=0)
    with pytest.raises(DataError, match="holds no pair; allowed: clean_X beside"):
        train_folder(folder, tmp_path / "model", QUICK)


def test_a_truth_that_does_not_fit_its_scan_is_refused(tmp_path):
    for name, seed, height in (("scan_1.npz", 0, 40), ("clean_1.npz", 0, 39)):
        write_npz(tmp_path / name, bumpy(seed, height), keep=False)
    with pytest.raises(DataError, match=r"clean_1\.npz: has \(39, 48\) pixels"):
        train_folder(tmp_path, tmp_path / "model", QUICK)
    write_npz(tmp_path / "clean_1.npz", bumpy(5), keep=False)
    with pytest.raises(DataError, match=r"points that scan_1\.npz lacks"):
        train_folder(tmp_path, tmp_path / "model", QUICK)


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = folder_of_pairs(tmp_path / "scans")
    with pytest.raises(DataError, match="device cuda"):
        train_folder(folder, tmp_path / "model", QUICK, device="cuda")


def test_list_folder_and_training_leave_the_scans_as_they_are(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    train_folder(folder, tmp_path / "model.npz", QUICK)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(list_folder(folder).pairs) == 2


def test_a_step_is_that_of_the_paper_on_adam():
    module = torch.nn.Linear(3, 2)
    state, weights = begin(module), module.weight.detach().numpy().astype(np.float64)
    first = second = np.zeros((2, 3))
    for step, slope in enumerate((0.3, -0.1, 2.0), start=1):
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        size = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        weights = weights - 0.1 * first / (1 - 0.9**step) / size
        state.step = step
        make_adam_step(state, [torch.full_like(each, slope) for each in module.parameters()], 0.1)
    assert np.allclose(module.weight.detach().numpy(), weights, rtol=1e-5)


def test_the_truth_of_the_points_held_out_changes_no_weight():
    (held,) = hold_out([example()], "tiles", 8, 0)
    turned = replace(held, keep=held.keep ^ (held.held_out & held.valid))
    channels = statistics_of([held], ["light"], 0)
    weights = []
    for each in (held, turned):
        block = {"kind": "pixels", "hidden": 2}
        state = begin(seeded(lambda block=block: module_of(block, 1, (16, 16), "test"), 0)())
        schedule = StepSchedule(4, 4, 16, 2, 0.1, 4, 1, 0)
        loss = losses.build(Recipe().loss)
        optimise(state, [each], channels, loss, schedule, lambda _: None, lambda *_: None)
        weights.append({n: w.detach().numpy().copy() for n, w in state.module.named_parameters()})
    assert same(*weights)


def test_the_card_states_the_least_number_of_views_of_a_training_scan(tmp_path):
    (tmp_path / "scans").mkdir()
    for views in (3, 2):
        list(simulate_folder(tmp_path / "made", turntables=1, views=views, size=(32, 40)))
        (tmp_path / "made" / "turntable_00").rename(tmp_path / "scans" / f"{views}")
        (tmp_path / "made").rmdir()
    recipe = Recipe.of({"channels": "views", "model.kind": "pixels", "steps": 1, "window": 16})
    made = train_folder(tmp_path / "scans", tmp_path / "model", recipe)
    assert made.trained.card.views == 1


def test_comparisons_with_other_views_are_judged_point_by_point_unless_a_model_is_chosen():
    assert Recipe.of({}).suited_to("local").model.kind == "gajdosech_unet"
    linear = Recipe.of({"threshold": 0.5}).suited_to("views")
    assert (linear.model.kind, linear.steps, linear.threshold) == ("pixels", 400, 0.5)
    chosen = Recipe.of({"model.width": 4})
    assert chosen.suited_to("views") is chosen


def test_a_folder_in_place_of_the_model_file_is_refused_before_the_training(tmp_path):
    folder = folder_of_pairs(tmp_path / "scans")
    with pytest.raises(RunRefused, match="scans: is a folder; allowed: the name of a model file"):
        train_folder(folder, folder, QUICK, force=True)
