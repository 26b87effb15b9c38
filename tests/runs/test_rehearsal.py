"""Rehearsal: parts of one's own are called before the first round, in every kind of run."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from small_runs import small

from fedchain.errors import PartError
from fedchain.runs.preparation import check_run
from fedchain.runs.rehearsal import made_up_rows

LAB = """\
from collections import Counter
from dataclasses import replace

import numpy as np

from fedchain.aggregation import Aggregate, aggregations
from fedchain.update import Updated

SEEN, CALLS = [], Counter()


def spy(view):
    SEEN.append((view.round, len(view.own), len(view.honest), view.holders))
    view.rule(view.own)
    return -view.own


def rule(received) -> Aggregate:
    SEEN.append(len(received.norms))
    return aggregations.build(aggregations.check({"kind": "mean"}), received)


def counts(weights, memory, gradient, round_):
    CALLS["update"] += 1
    return Updated(weights - gradient / CALLS["update"], {})


def shuffled(records, classes, generator):
    return replace(records, targets=generator.permutation(records.targets))


def unseeded(records, classes, generator):
    return replace(records, targets=np.random.default_rng().permutation(records.targets))


def grows(records, classes, generator):
    records.inputs[:] += 1
    return records


def forgets(received) -> Aggregate:
    made = rule(received)
    return replace(made, memory={"calls": np.full(1, CALLS.update(rule=1) or CALLS["rule"], float)})


def nan(received) -> Aggregate:
    made = rule(received)
    return replace(made, gradient=np.full_like(made.gradient, np.nan))
"""
GROUPS = {
    "nodes": {"holders": 20, "compute": 2, "groups": {"size": 5, "honest": 0.8}},
    "privacy": {"kind": "skellam", "epsilon": 8.0, "clip": 1.0},
    "aggregation": {"kind": "mean"},
}


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """The module of the user, imported anew for each test."""
    (tmp_path / "rehearsed_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: sys.modules["rehearsed_lab"]
    sys.modules.pop("rehearsed_lab", None)


def attacked(kind, **more):
    return [{"kind": f"rehearsed_lab:{kind}", "count": 6, "knowledge": "omniscient", **more}]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, (2, 6, 4, 10)),
        ({"nodes.holders": 20, "nodes.cohort": 8}, (2, None, None, 8)),
        (GROUPS, (2, 6, 14, 20)),
    ],
    ids=["all", "cohort", "groups"],
)
def test_an_attack_sees_as_many_as_in_the_run(changes, seen, lab):
    check_run(
        small(
            4,
            **{
                "aggregation": {"kind": "mean"},
                **changes,
                "attacks": attacked("spy", from_round=2),
            },
        )
    )
    (first, again) = lab().SEEN
    assert first == again
    round_, own, honest, holders = first
    assert (round_, holders) == (seen[0], seen[3])
    assert own + honest == holders
    assert seen[1] in (None, own)


def test_a_rule_is_tried_with_all_messages_and_with_the_quorum(lab):
    check_run(small(4, aggregation={"kind": "rehearsed_lab:rule"}, attacks=[]))
    assert set(lab().SEEN) == {10, 8}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"update": {"kind": "rehearsed_lab:counts"}}, r"update .*: gives other bits when it is"),
        ({"aggregation": {"kind": "rehearsed_lab:forgets"}}, r"aggregation .*: gives other bits"),
        ({"aggregation": {"kind": "rehearsed_lab:nan"}}, r"gives nan among its numbers"),
        (
            {
                "attacks": [
                    {"kind": "poisoned", "count": 2, "records": {"kind": "rehearsed_lab:unseeded"}}
                ]
            },
            r"poison rehearsed_lab:unseeded: gives other records",
        ),
        (
            {
                "attacks": [
                    {"kind": "poisoned", "count": 2, "records": {"kind": "rehearsed_lab:grows"}}
                ]
            },
            r"poison rehearsed_lab:grows: changes the records",
        ),
    ],
)
def test_a_part_that_is_no_function_of_its_arguments_is_refused(changes, words):
    with pytest.raises(PartError, match=words) as refused:
        check_run(small(4, **{"attacks": [], **changes}))
    assert "rehearsed_lab.py, line " in str(refused.value)


def test_a_poison_that_draws_from_its_generator_passes():
    records = {"kind": "rehearsed_lab:shuffled"}
    check_run(small(4, attacks=[{"kind": "poisoned", "count": 2, "records": records}]))


def test_made_up_rows_are_the_same_at_every_call():
    one, other = made_up_rows(3, 5), made_up_rows(3, 5)
    assert one.tobytes() == other.tobytes()
    assert len(np.unique(one)) == 15
