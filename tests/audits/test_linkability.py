from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import small

from fedchain.audits import audit
from fedchain.audits.linkability import likenesses, links_in
from fedchain.errors import RunRefused
from fedchain.runs.running import run

APART = {"kind": "breast_cancer", "split": {"kind": "dirichlet", "alpha": 0.3, "least": 5}}


def means(found) -> dict[str, float]:
    return {row["likeness"]: row["auc"] for row in found.findings["linkability"]}


def test_holders_of_different_data_are_linked_without_noise_and_not_by_direction_with_it(tmp_path):
    bare = small(5, task=APART, attacks=[], privacy={"kind": "none"})
    noisy = small(20, task=APART, attacks=[], **{"privacy.epsilon": 1.0})
    shown, hidden = (means(audit(each, ["linkability"], tmp_path)) for each in (bare, noisy))
    assert shown["direction"] > 0.85
    assert abs(hidden["direction"] - 0.5) < 0.12  # 5 standard errors: 190 pairs of one holder
    # the declared number of records is in every message, and the noise in proportion to it
    assert min(hidden["declared records"], hidden["norm"]) > 0.8


def test_pairs_are_of_neighbouring_rounds_and_honest_holders(tmp_path):
    made = run(small(5, **{"ledger.quorum": 1.0, "nodes.compute": 1}), tmp_path)
    link = links_in(made)["direction"]
    assert len(link.auc) == 4
    assert link.pairs == 10 + 8 + 8 + 8  # the flippers turn in round 3


def test_one_round_links_nobody(tmp_path):
    with pytest.raises(RunRefused, match="no holder speaks in two rounds"):
        links_in(run(small(1, attacks=[]), tmp_path))


def test_gradients_of_zero_are_like_each_other_and_like_no_other():
    sent = [(np.array([3, 4], np.int16), 2.0), (np.zeros(2, np.int16), 0.0)]
    declared = SimpleNamespace(records=5)
    messages = [
        SimpleNamespace(message=SimpleNamespace(direction=q, norm=s, declaration=declared))
        for q, s in sent
    ]
    found = likenesses(messages, messages)
    assert found["direction"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    likeness = found["norm"]
    assert (likeness[0, 0], likeness[1, 1]) == (0.0, 0.0)
    assert -1000 < likeness[0, 1] == likeness[1, 0] < -100
    assert not found["declared records"].any()
