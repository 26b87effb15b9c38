"""Canaries in the user's own task: its records, its model, its loss, its tiles and its views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from group_runs import grouped
from small_runs import small

from fedchain.audits import Choices, audit
from fedchain.audits.among_records import along
from fedchain.audits.canaries import seen_in, with_canaries
from fedchain.learning.gradients import cohort as gradients
from fedchain.learning.task import tasks
from fedchain.learning.tasks.canary_records import canaries_among, inside_of
from fedchain.registry import Part
from fedchain.runs.running import run

DIGITS = {"kind": "digits", "model": {"kind": "mlp", "hidden": [16]}, "held_out": 0.6}
SCANS = {"kind": "scan_segmentation", "size": 8, "records_per_holder": 6, "held_out": 8}
ALONE = {"nodes.compute": 1, "ledger.storage": "int32", "attacks": [], "nodes.holders": 4}
MEAN = {"aggregation": {"kind": "mean"}, "ledger.quorum": 1.0}
SIGMA, CLIP = 0.05, 0.5
QUIET = {"kind": "gaussian", "noise_multiplier": SIGMA, "delta": 1e-5, "clip": CLIP}


def quiet(task, folder, each=30, rounds=3, **changes):
    """A run of a task with planted canaries and hardly any noise."""
    scenario = small(rounds, task=task, **{"privacy": QUIET, **ALONE, **MEAN, **changes})
    return run(with_canaries(scenario, each), folder)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return quiet(DIGITS, tmp_path_factory.mktemp("digits"))


def noise_in(evidence, inside):
    """The noise of each release along the own direction of each canary, in clips."""
    return (evidence.products - inside * evidence.squares) / np.sqrt(evidence.squares)


def test_planted_canaries_join_the_records_and_change_nothing_else():
    of = tasks.build(small(task=DIGITS).task, 3, 0)
    made = tasks.build(with_canaries(small(task=DIGITS), 20).task, 3, 5)
    for holder, (own, canaries) in enumerate(canaries_among(of, 5, 20)):
        inside = inside_of(5, holder, 20)
        records = made.holders[holder]
        assert records.count == own.count + inside.sum()
        assert np.array_equal(records.inputs[: own.count], own.inputs)
        assert np.array_equal(records.inputs[own.count :], canaries.inputs[inside])
        assert np.array_equal(canaries.targets, own.targets[np.arange(20) % own.count])
    assert np.array_equal(made.held_out.inputs, of.held_out.inputs)
    assert (made.loss, made.views, made.record) == (of.loss, of.views, of.record)


def test_a_planted_record_has_the_tiles_and_the_views_of_the_records_beside_it():
    views = {"kind": "augmented", "of": {"kind": "digits"}, "views": 3}
    made = tasks.build(with_canaries(small(task=views), 6).task, 2, 0)
    assert made.views == 3
    for records, own in zip(
        made.holders, tasks.build(small(task=views).task, 2, 0).holders, strict=True
    ):
        assert records.examples == 3 * records.count
        assert records.count > own.count


def test_evidence_of_overlapping_gradients_is_that_of_a_loop_over_known_others():
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((6, 20)) + 1.0  # they overlap
    inside = np.array([1, 0, 1, 1, 0, 0], bool)
    noise = generator.standard_normal(20)
    found = along(rows, inside @ rows + noise, inside)
    basis: list[np.ndarray] = []
    for number, row in enumerate(rows):
        own = row - sum((row @ each) * each for each in basis)
        length = float(np.linalg.norm(own))
        basis.append(own / length)
        known = np.delete(rows, number, 0).T @ np.delete(inside, number)
        left = inside @ rows + noise - known
        assert found.products[0, number] == pytest.approx(length * (left @ basis[-1]), rel=1e-6)
        assert found.squares[0, number] == pytest.approx(length**2, rel=1e-6)
    assert np.linalg.norm(noise_in(found, inside)) <= np.linalg.norm(noise)  # of orthonormal rows


def test_equal_gradients_are_one_canary_and_nothing_more():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    found = along(rows, np.array([2.0, 0.3]), np.array([True, True, False]))
    assert found.squares[0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)


def test_what_is_left_of_a_release_is_the_noise_that_was_added(digits):
    for seen in seen_in(digits):
        assert len(seen.inside) > 15  # most are strong
        assert np.all(seen.own.squares <= 1.01)  # no canary pulls by more than one clip
        for kind, factor in (("own", 1.0), ("others", np.sqrt(4 / 3))):
            noise = noise_in(getattr(seen, kind), seen.inside)[seen.own.squares > 0.2]
            # 3.5 standard errors of the fewest
            assert noise.std() == pytest.approx(factor * SIGMA, rel=0.4)
        assert seen.own.scores()[seen.inside].mean() == pytest.approx(1.0, abs=0.05)
        assert seen.own.scores()[~seen.inside].mean() == pytest.approx(0.0, abs=0.05)


def test_gradients_that_the_audit_takes_off_are_those_of_a_plain_loop(digits):
    scenario = digits.scenario
    of = tasks.build(small(task=DIGITS).task, 4, 0)
    own, canaries = canaries_among(of, scenario.seed, 30)[1]
    module = of.model()
    total = torch.zeros(sum(p.numel() for p in module.parameters()), dtype=torch.float64)
    kept = [own, canaries.part(inside_of(scenario.seed, 1, 30))]
    for records in kept:
        for inputs, target in zip(records.inputs, records.targets, strict=True):
            module.zero_grad()
            of.loss(module(torch.tensor(inputs)[None]), torch.tensor([target])).sum().backward()
            flat = torch.cat([p.grad.flatten() for p in module.parameters()]).double()
            total += flat * min(1.0, CLIP / float(flat.norm()))
    first = next(each for each in releases(digits) if each.holder == 1)
    count = first.message.declaration.records
    noise = first.vector * count - total.numpy()
    assert count == sum(records.count for records in kept)
    assert noise.std() == pytest.approx(SIGMA * CLIP, rel=0.1)


def releases(made):
    from fedchain.audits.runs_for_audit import releases_of

    return [each for each in releases_of(made) if each.message.round == 1]


TASKS = {
    "tables": ({"kind": "breast_cancer"}, {}),
    "tiles and views": ({"kind": "augmented", "of": SCANS, "views": 2}, {}),
    "a public subspace": (
        {"kind": "public_subspace", "of": DIGITS, "records": 30, "directions": 20},
        {},
    ),
    "an adaptive clip": (DIGITS, {"privacy": {**QUIET, "clip_quantile": 0.5}}),
    "an automatic clip": (DIGITS, {"privacy": {**QUIET, "clip": "automatic"}}),
    "momentum": (DIGITS, {"nodes.momentum": {"kind": "mean"}}),
}


@pytest.mark.parametrize("name", TASKS)
def test_canaries_are_found_in_every_kind_of_task_without_noise(name, tmp_path):
    task, changes = TASKS[name]
    judged = 0
    for seen in seen_in(quiet(task, tmp_path, each=8, **changes)):
        sure = np.sqrt(seen.own.squares.sum(axis=0)) > 10 * SIGMA  # .5 is five deviations
        assert np.array_equal(seen.own.scores()[sure] > 0.5, seen.inside[sure])
        noise = noise_in(seen.own, seen.inside)
        assert np.abs(noise).max() < 5 * SIGMA * 2
        judged += sure.sum()
    assert judged > 0


def test_in_a_group_all_records_of_all_members_are_taken_off(tmp_path):
    quiet_sum = {"kind": "skellam", "epsilon": float("inf"), "clip": 0.5}
    made = run(with_canaries(grouped(2, task=DIGITS, privacy=quiet_sum), 10), tmp_path)
    for seen in seen_in(made):
        assert np.array_equal(seen.inside[seen.own.scores() > 0.5], seen.inside[seen.inside])


def test_an_audit_of_a_task_of_ones_own_keeps_the_claim_and_sees_half_the_noise(
    tmp_path, monkeypatch
):
    noise = {"kind": "gaussian", "epsilon": 8.0, "clip": CLIP, "spare_releases": 0}
    scenario = small(2, task=DIGITS, privacy=noise, **ALONE, **MEAN)
    sure = Choices(confidence=0.999)
    found = audit(scenario, ["canaries"], tmp_path / "right", sure)
    assert not found.violations
    (row,) = found.findings["canaries"]
    assert row["lower_bound"] > 4.0
    module = __import__("fedchain.privacy.mechanisms.gaussian", fromlist=["_"])
    true = module.normals
    monkeypatch.setattr(module, "normals", lambda *asked: true(*asked) / 2)
    assert audit(scenario, ["canaries"], tmp_path / "halved", sure).violations


def test_a_record_that_is_clipped_tile_by_tile_is_seen(tmp_path, monkeypatch):
    views = {"kind": "augmented", "of": DIGITS, "views": 8}
    noise = {"kind": "gaussian", "epsilon": 8.0, "clip": CLIP, "spare_releases": 0}
    scenario = small(2, task=views, privacy=noise, **ALONE, **MEAN)
    few = Choices(canaries=30, confidence=0.999)
    assert not audit(scenario, ["canaries"], tmp_path / "right", few).violations
    monkeypatch.setattr(gradients, "joined_records", lambda rows, *_: (rows, None))
    assert audit(scenario, ["canaries"], tmp_path / "wrong", few).violations


def test_a_task_without_records_has_no_canaries():
    with pytest.raises(ValueError, match=r"task\.of: none has no records"):
        tasks.build(Part("planted", {"of": Part("none", {})}), 0, 0)
