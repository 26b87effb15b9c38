from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedchain.attacks import View, attacks, poisons
from fedchain.attacks.poisoning import label_flip
from fedchain.errors import PartError, ScenarioError
from fedchain.learning.task import Records
from fedchain.ledger.chain.state import State
from fedchain.registry import Part


def view(*rows: list[float], seed: int = 0) -> View:
    """Return what attackers with these gradients see, and nothing of others."""
    own = np.array(rows)
    return View(
        round=1,
        state=State(np.zeros(own.shape[1]), {}),
        own=own,
        honest=np.empty((0, own.shape[1])),
        holders=10,
        rule=lambda sent: sent.mean(axis=0),
        response=lambda sent: np.concatenate([own, sent]).mean(axis=0),
        previous=lambda: np.empty((0, own.shape[1])),
        generators=tuple(np.random.default_rng([seed, row]) for row in range(len(own))),
    )


def sent(kind: str, seen: View, **given: object) -> np.ndarray:
    return attacks.build(attacks.check({"kind": kind, **given}), seen)


def test_sign_flippers_send_the_opposite_at_the_same_length():
    assert sent("sign_flip", view([3.0, -4.0], [1.0, 0.0])).tolist() == [[-3.0, 4.0], [-1.0, 0.0]]


def test_norm_inflation_keeps_the_direction():
    (made,) = sent("norm_inflation", view([3.0, -4.0]), factor=1e3)
    assert (made / np.linalg.norm(made)).tolist() == [0.6, -0.8]
    assert np.linalg.norm(made) == 5e3


def test_random_directions_are_uniform_and_forget_the_gradient():
    release = np.zeros(400)
    release[0] = 2.0
    made = sent("random_direction", view(*[release] * 200))
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 2.0)
    assert abs(made[:, 0].mean()) < 4 * 2.0 / 20 / 200**0.5


@pytest.mark.parametrize("kind", attacks.names())
def test_every_attack_leaves_the_view_alone_and_keeps_its_shape(kind):
    seen = view([0.5, -1.0, 2.0], [1.0, 1.0, -1.0])
    made = sent(kind, seen)
    assert made.shape == (2, 3)
    assert np.isfinite(made).all()
    assert seen.own.tolist() == [[0.5, -1.0, 2.0], [1.0, 1.0, -1.0]]


def test_an_attack_of_the_old_form_is_refused_with_the_new_one(tmp_path, monkeypatch):
    (tmp_path / "old_lab.py").write_text("def mine(release, generator): return -release\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        attacks.check({"kind": "old_lab:mine"})
    assert "takes 2 values from the simulator (release, generator)" in str(caught.value)
    assert "is written def mine(view, *, ..)" in str(caught.value)


CLASSES = Records(np.zeros((3, 2), np.float32), np.array([0, 1, 3]))
MASKS = Records(np.zeros((1, 3), np.float32), np.array([[0.0, 1.0, np.nan]], np.float32))


def test_flipped_labels_are_counted_from_the_end_and_masks_turned_over():
    generator = np.random.default_rng(0)
    assert label_flip(CLASSES, 4, generator).targets.tolist() == [3, 2, 0]
    turned = label_flip(MASKS, 2, generator).targets
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned, [[1.0, 0.0, np.nan]])


@pytest.mark.parametrize("kind", poisons.names())
def test_every_poison_keeps_the_shapes_and_changes_no_record_in_place(kind):
    made = poisons.build(poisons.check({"kind": kind}), CLASSES, 4, np.random.default_rng(0))
    assert made.inputs.shape == CLASSES.inputs.shape
    assert made.targets.dtype == CLASSES.targets.dtype
    assert CLASSES.targets.tolist() == [0, 1, 3]


LAB = """
import numpy as np
from fedchain.learning.task import Records
def more(records, classes, generator):
    return Records(np.concatenate([records.inputs] * 2), records.targets)
def whole(records, classes, generator):
    return Records(records.inputs, records.targets)
"""


@pytest.mark.parametrize(
    ("kind", "records", "words"),
    [
        ("more", CLASSES, r"must keep the shape of inputs, \(3, 2\), got \(6, 2\)"),
        ("whole", replace(CLASSES, record=np.zeros(3, np.int64)), "must keep the shape of record"),
    ],
)
def test_a_poison_that_changes_the_number_of_records_is_refused(
    kind, records, words, tmp_path, monkeypatch
):
    (tmp_path / "poison_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PartError, match=words):
        poisons.build(Part(f"poison_lab:{kind}", {}), records, 4, np.random.default_rng(0))
