"""Skeletons: the files with which a part of one's own begins, for ``fedchain new``."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from types import MappingProxyType

TASK_CODE = '''"""Task $name: .. what is learned of which data."""

from __future__ import annotations

import numpy as np

from fedchain.learning.task import Task
from fedchain.learning.tasks.labelled import Labelled, labelled_task
from fedchain.randomness import stream


def $name(holders: int, seed: int, *, records: int = 40) -> Task:
    """Tell points on one side of a line from those on the other side.

    Args:
        records: number of records of each holder.
    """
    draws = stream(seed, "$name")  # the same seed must give the same records
    inputs = draws.uniform(-1, 1, (records * (holders + 5), 2))
    labels = (inputs.sum(axis=1) > 0).astype(np.int64)  # classes count from 0
    data = Labelled(inputs=inputs, labels=labels, classes=2)
    return labelled_task("$name", data, holders, seed)
'''
RULE_CODE = '''"""Aggregation rule $name: .. how it combines the messages of a block."""

from __future__ import annotations

import numpy as np

from fedchain.aggregation import Aggregate, Received, agreement_of
from fedchain.arrays import ONE


def $name(received: Received, *, trim: int = 1) -> Aggregate:
    """Take the mean of every coordinate, without its least and largest values.

    Args:
        trim: how many values are left out on each side.
    """
    count = len(received.norms)
    if count <= 2 * trim:
        raise ValueError(f"$name: needs more than {2 * trim} messages, got {count}")
    # Row k is 2^20 times the direction of message k; its norm is the length of the gradient.
    rows = received.directions.matrix() * received.norms[:, None] / ONE
    kept = np.sort(rows, axis=0)[trim : count - trim]
    gradient = np.add.accumulate(kept)[-1] / len(kept)  # one order of sums on every processor
    cosines, shares = agreement_of(received.directions).cosines, np.full(count, 1 / count)
    return Aggregate(gradient, cosines, shares, reasons=("",) * count)
'''
ATTACK_CODE = '''"""Attack $name: .. what its holders send."""

from __future__ import annotations

from fedchain.attacks import Rows, View


def $name(view: View, *, factor: float = 2.0) -> Rows:
    """Send the opposite of the own gradients, some times as long.

    Args:
        factor: how long the sent gradients are, compared with the own ones.
    """
    return -factor * view.own  # a new array: the view must stay as it is
'''
TEST_CODE = '''"""Tests of $name."""

import fedchain
from fedchain.runs.preparation import check_run

CHANGES = $changes


def test_fedchain_accepts_it():
    check_run(fedchain.load("breast_cancer", set=CHANGES))


def test_a_run_with_it_ends_and_its_chain_is_valid(tmp_path):
    scenario = fedchain.load("breast_cancer", set={**CHANGES, "rounds": 3})
    run = fedchain.run(scenario, tmp_path)
    assert run.manifest["status"] == "finished"
    assert fedchain.verify(run.folder, trust_user_parts=True).ok
'''
SCENARIO_TEXT = """\
version: 1
name: $name
description: How does accuracy depend on the privacy budget?
seed: 0
rounds: 30
task: {kind: breast_cancer}  # or {kind: table, path: my.csv}, {kind: images, path: pictures}
nodes: {holders: 10, compute: 3}
privacy: {kind: gaussian, epsilon: 8.0, clip: 1.0}
aggregation: {kind: mean}
update: {kind: adam, learning_rate: 0.05}
sweep:
  grid: {privacy.epsilon: [1.0, 8.0]}
  seeds: 2
  y: accuracy
"""
KEYS_OF: Mapping[str, str] = MappingProxyType(
    {
        "task": '{"task": {"kind": "$kind"}}',
        "rule": '{"aggregation": {"kind": "$kind"}}',
        "attack": '{"attacks": [{"kind": "$kind", "count": 2}]}',
    }
)
"""The keys of a scenario that name a new part, as Python code, by what is made."""
MODULES: Mapping[str, str] = MappingProxyType(
    {"task": TASK_CODE, "rule": RULE_CODE, "attack": ATTACK_CODE}
)
"""The module of a new part, by what is made."""


def files_of_part(what: str, name: str, package: str) -> dict[str, str]:
    """Return the files of a new part and of its test, by path, in the user's package.

    >>> list(files_of_part("rule", "halfway", "my_lab"))
    ['my_lab/__init__.py', 'my_lab/halfway.py', 'my_lab/test_halfway.py']
    """
    kind = f"{package}.{name}:{name}"
    changes = Template(KEYS_OF[what]).substitute(kind=kind)
    return {
        f"{package}/__init__.py": "",
        f"{package}/{name}.py": Template(MODULES[what]).substitute(name=name),
        f"{package}/test_{name}.py": Template(TEST_CODE).substitute(name=name, changes=changes),
    }


def files_of_scenario(name: str) -> dict[str, str]:
    """Return the file of a new scenario, by its path."""
    return {f"{name}.yaml": Template(SCENARIO_TEXT).substitute(name=name)}
