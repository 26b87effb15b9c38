"""Mistakes that users make in parts of their own: the code, and what fedchain must say of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HEAD = """\
import numpy as np
import torch
from torch import nn

from fedchain.aggregation import Aggregate, agreement_of
from fedchain.arrays import ONE
from fedchain.learning.losses import accuracy, cross_entropy
from fedchain.learning.models import mlp, seeded
from fedchain.learning.task import Records, Task
from fedchain.update import Updated

CALLS = []


def taken(received, gradient):
    count, cosines = len(received.norms), agreement_of(received.directions).cosines
    return Aggregate(gradient, cosines, np.full(count, 1 / count), ("",) * count)


def points(holders, seed, change=lambda inputs, labels: None, score="accuracy", draws=None):
    draws = draws or np.random.default_rng(seed)
    inputs = draws.standard_normal(((holders + 5) * 20, 4)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    labels = labels if (changed := change(inputs, labels)) is None else changed
    *parts, held_out = np.split(np.arange(len(labels)), 20 * np.arange(1, holders + 1))
    return Task(
        name="points",
        holders=[Records(inputs[part], labels[part]) for part in parts],
        held_out=Records(inputs[held_out], labels[held_out]),
        model=seeded(lambda: mlp((4,), 2, hidden=[8]), seed),
        loss=cross_entropy(),
        measure=lambda outputs, known: {"accuracy": accuracy(outputs, known.targets)},
        score=score,
        baselines={},
    )


"""
"""Code that stands above each mistake."""
BASE: dict[str, Any] = {
    "version": 1,
    "name": "mistaken",
    "rounds": 2,
    "task": {"kind": "breast_cancer"},
    "nodes": {"holders": 10, "compute": 2},
    "privacy": {"kind": "gaussian", "epsilon": 8.0, "clip": 1.0},
    "aggregation": {"kind": "mean"},
    "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 6}},
}
"""The scenario in which each mistake stands; a mistake replaces some keys."""
ATTACK = [{"kind": "lab:mine", "count": 3}]


@dataclass(frozen=True)
class Mistake:
    """A mistake of a user."""

    keys: dict[str, Any]
    """Keys of the scenario that differ from ``BASE``."""
    says: str
    """Text that the error must contain."""
    code: str = ""
    """Code of the part ``lab:mine``; it is appended to ``HEAD``."""
    names_line: bool = field(default=True)
    """Whether the error names the file and line of the part."""


def of_model(body: str) -> str:
    return f"def mine(inputs, outputs):\n    return {body}\n"


def of_task(call: str) -> str:
    return f"def mine(holders: int, seed: int) -> Task:\n    return {call}\n"


MODEL = {"task": {"kind": "digits", "model": {"kind": "lab:mine"}}}
LOSS = {"task": {"kind": "digits", "loss": {"kind": "lab:mine"}}}
TASK = {"task": {"kind": "lab:mine"}}
RULE = {"aggregation": {"kind": "lab:mine"}}
FLAT = "nn.Sequential(nn.Flatten(), nn.Linear(64, 16), {}, nn.Linear(16, outputs))"
MISTAKES = {
    "a loss that is reduced to a mean": Mistake(
        LOSS,
        "task.loss: must be one number for each example, shape (10,), got shape (); write "
        "reduction='none'",
        "def mine():\n    return nn.functional.cross_entropy\n",
    ),
    "a loss whose gradient is not finite": Mistake(
        LOSS,
        "task.loss: its gradient of an example of class ",
        "def mine():\n    return lambda outputs, targets: (outputs[:, 0] * targets).abs().sqrt()\n",
    ),
    "a model with too few outputs": Mistake(
        MODEL,
        "task.model: has 7 outputs, but labels go up to 9",
        of_model("nn.Sequential(nn.Flatten(), nn.Linear(64, 7))"),
    ),
    "a model with dropout": Mistake(
        MODEL,
        "task.model: layer 2 is a Dropout, which draws at random",
        of_model(FLAT.format("nn.Dropout(0.5)")),
    ),
    "a model with a batch norm": Mistake(
        MODEL,
        "task.model: layer 2 is a BatchNorm1d, which mixes examples, so that clipping bounds no "
        "record; use a norm within one example, as GroupNorm",
        of_model(FLAT.format("nn.BatchNorm1d(16)")),
    ),
    "a rule that draws at random": Mistake(
        RULE,
        "aggregation lab:mine: gives other bits when it is called again with the same messages",
        "def mine(received) -> Aggregate:\n"
        "    rows = np.asarray(received.directions) / ONE\n"
        "    return taken(received, rows.mean(axis=0) + np.random.default_rng().random())\n",
    ),
    "a rule that depends on the order": Mistake(
        RULE,
        "aggregation lab:mine: gives another gradient for the same messages in another order",
        "def mine(received) -> Aggregate:\n"
        "    return taken(received, np.asarray(received.directions)[0] / ONE)\n",
    ),
    "an attack that counts its calls": Mistake(
        {"attacks": ATTACK},
        "attack lab:mine: sends other rows when it is called again with the same view",
        "def mine(view):\n    CALLS.append(1)\n    return -view.own * len(CALLS)\n",
    ),
    "a score that nobody measures": Mistake(
        TASK,
        "task.score: measure returns no metric 'acuracy'; did you mean accuracy?",
        of_task("points(holders, seed, score='acuracy')"),
    ),
    "a metric of a sweep that nobody measures": Mistake(
        {"sweep": {"grid": {"privacy.epsilon": [1.0, 8.0]}, "y": "acuracy"}},
        "sweep.y: no metric 'acuracy'; did you mean accuracy?",
        names_line=False,
    ),
    "labels that count from 1": Mistake(
        TASK,
        "task: the smallest label is 1; labels count from 0: write labels - 1",
        of_task("points(holders, seed, lambda inputs, labels: labels + 1)"),
    ),
    "labels that are not integers": Mistake(
        TASK,
        "write labels.astype(np.int64)",
        of_task("points(holders, seed, lambda inputs, labels: labels.astype(np.float32))"),
    ),
    "a rule that returns an array": Mistake(
        RULE,
        "aggregation lab:mine: must return Aggregate, got ndarray",
        "def mine(received) -> Aggregate:\n"
        "    return np.asarray(received.directions).mean(axis=0)\n",
    ),
    "an attack that changes its view": Mistake(
        {"attacks": ATTACK},
        "change a copy of it",
        "def mine(view):\n    rows = view.own\n    rows *= -1\n    return rows\n",
    ),
    "a record with NaN": Mistake(
        TASK,
        "task: holder 2: example 3 has nan among its inputs",
        of_task("points(holders, seed, lambda inputs, _: inputs.__setitem__((43, 1), np.nan))"),
    ),
    "a task that draws other records each time": Mistake(
        TASK,
        "task lab:mine: gives other records when it is called again with the same seed",
        of_task("points(holders, seed, draws=np.random.default_rng())"),
    ),
    "an update that forgets its memory": Mistake(
        {"update": {"kind": "lab:mine"}},
        "update lab:mine: must return Updated, got ndarray",
        "def mine(weights, memory, gradient, round_):\n    return weights - gradient\n",
    ),
    "a split that deals a record twice": Mistake(
        {"task": {"kind": "digits", "split": {"kind": "lab:mine"}}},
        "split lab:mine: must deal each of the 1348 records exactly once",
        "def mine(labels, sites, holders, generator):\n"
        "    return [np.arange(len(labels))] * holders\n",
    ),
}
"""Mistakes by what they are."""
