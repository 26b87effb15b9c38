"""Models and losses that mix examples in many ways, and honest ones that look as if they did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_gradients import slow_row
from small_tasks import TASKS, image_task, table_task
from torch import nn
from torch.nn import functional

from fedchain.errors import PartError
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import tasks

SIZES = (7, 12, 5)


class Between(nn.Module):
    """A small dense network with a function between its layers."""

    def __init__(self, between, after: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.between, self.after = between, after()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.after(torch.tanh(self.between(self.first(inputs)))))


class Normed(nn.LayerNorm):
    """A layer whose gradients only vmap computes."""

    def __init__(self) -> None:
        super().__init__(6)


def attention(h: torch.Tensor) -> torch.Tensor:
    return functional.softmax(h @ h.T, dim=1) @ h


def largest_first(h: torch.Tensor) -> torch.Tensor:
    return h / h.abs().max()


def only_outliers(h: torch.Tensor) -> torch.Tensor:
    return h / h.abs().max() if bool(h.abs().max() > 500) else h


def outliers_look_around(h: torch.Tensor) -> torch.Tensor:
    far = h.abs().amax(1, keepdim=True) > 500
    return torch.where(far, h / (1 + h.abs().min()), h)


def many_are_centred(h: torch.Tensor) -> torch.Tensor:
    return h - h.mean(0) if len(h) > 50 else h


def earlier_ones(h: torch.Tensor) -> torch.Tensor:
    return h.cumsum(0)


MIXING = {
    "centred": lambda h: h - h.mean(0),
    "functional batch norm": lambda h: functional.batch_norm(h, None, None, training=True),
    "divided by the largest": largest_first,
    "divided by the norm of all": lambda h: h / h.norm(),
    "attention": attention,
    "earlier ones": earlier_ones,
    "the next one": lambda h: h + h.roll(1, 0),
    "slightly": lambda h: h + 1e-4 * h.mean(0),
    "size of the batch": lambda h: h * len(h),
    "place in the batch": lambda h: h + torch.arange(len(h))[:, None],
    "beside an outlier": only_outliers,
    "outliers only": outliers_look_around,
    "in a large batch": many_are_centred,
    "without gradient": lambda h: h * torch.sigmoid(h.detach().mean()),
    "sorted": lambda h: h.sort(0).values,
    "two groups": lambda h: h - torch.where(h[:, :1] > 0, h[h[:, 0] > 0].sum(), 0.0),
}
"""Functions of a hidden layer (n, width) that mix the n examples."""


@pytest.mark.parametrize("how", MIXING)
@pytest.mark.parametrize("after", [nn.Identity, Normed], ids=["layers", "vmap"])
def test_a_model_that_mixes_examples_is_refused_with_its_key(how, after):
    task = table_task(lambda: Between(MIXING[how], after), SIZES)
    with pytest.raises(PartError, match=r"task\.model: .* reduce over the axes of one example"):
        CohortGradients(task, 0.4)


def shared(of):
    """A loss that changes the losses of the single examples as ``of`` says."""
    return lambda outputs, targets: of(cross_entropy()(outputs, targets), outputs, targets)


LOSSES = {
    "divided by the mean": shared(lambda each, *_: each / each.mean()),
    "divided by the mean without gradient": shared(lambda each, *_: each / each.detach().mean()),
    "weights of classes": shared(lambda each, _, t: each * len(t) / torch.bincount(t)[t]),
    "the hardest only": shared(lambda each, *_: each * (each >= each.median())),
    "softmax over the batch": lambda outputs, t: cross_entropy()(outputs.log_softmax(0), t),
    "a penalty of the batch": shared(lambda each, outputs, _: each + outputs.var()),
    "the number of examples": shared(lambda each, *_: each / len(each)),
}


@pytest.mark.parametrize("how", LOSSES)
def test_a_loss_that_mixes_examples_is_refused_with_its_key(how):
    task = replace(TASKS["mlp"](SIZES), loss=LOSSES[how])
    with pytest.raises(PartError, match=r"task\.loss: the loss of an example depends"):
        CohortGradients(task, 0.4)


def test_one_loss_for_the_whole_batch_is_refused():
    task = replace(TASKS["mlp"](SIZES), loss=functional.cross_entropy)
    with pytest.raises(PartError, match=r"task\.loss: must be one number .* got shape \(\)"):
        CohortGradients(task, 0.4)


class Remembers(nn.Module):
    """Keeps a running mean of what it has seen."""

    def __init__(self, used: float) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))
        self.used = used

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        self.seen.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return h - self.used * self.seen


class Counts(nn.Module):
    """Keeps a number outside of its buffers."""

    calls = 0

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return h / self.calls


@pytest.mark.parametrize(
    "between",
    [
        lambda: Remembers(1.0),
        lambda: Remembers(0.0),
        Counts,
        lambda: lambda h: functional.dropout(h, 0.5),
    ],
    ids=["state", "unused state", "attribute", "functional dropout"],
)
def test_a_model_that_is_another_one_at_the_next_call_is_refused(between):
    task = table_task(lambda: Between(between()), SIZES)
    with pytest.raises(PartError, match=r"task\.model: is another one after every call"):
        CohortGradients(task, 0.4)


def test_a_model_or_loss_that_changes_the_records_is_refused():
    class Scales(Between):
        def forward(self, inputs):
            return super().forward(inputs.mul_(2.0))

    def fills(outputs, masks):
        return (outputs[:, 0] * masks.nan_to_num_(0.0)).mean((1, 2))

    changed = table_task(lambda: Scales(nn.Identity()), SIZES)
    filled = replace(image_task(lambda: nn.Conv2d(3, 1, 1), SIZES), loss=fills)
    for task in (changed, filled):
        before = [each.targets.copy() for each in task.holders]
        with pytest.raises(PartError, match="task: model or loss changes the records"):
            CohortGradients(task, 0.4)
        for records, kept in zip(task.holders, before, strict=True):
            np.testing.assert_array_equal(records.targets, kept)


class WordsFirst(nn.Module):
    """Treats its six inputs as words of one number each, along the first axis of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.last = nn.Linear(1, 4), nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.word(inputs.T[..., None])).sum(0))


class AsksItself(nn.Module):
    """Decides by the values of a batch what to compute, without an effect on any example."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        h = self.norm(self.first(inputs))
        return self.last(torch.tanh(h) if h.max().item() > 0 else h.tanh())


class Single(nn.Module):
    """Computes in float32 only."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(inputs.float())))


class Centred(Single):
    """Computes in float32 only, and mixes the examples of a batch."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs.float() - inputs.float().mean(0))


class Tokens(nn.Module):
    """Refuses every input that is no token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(8, 4), nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.words(inputs.sigmoid().mul(8).long().clamp(max=7)).mean(1))


HONEST = {
    "layer norm": (lambda: Between(nn.LayerNorm(6)), "vmap"),
    "group norm": (lambda: Between(nn.GroupNorm(2, 6)), "layers"),
    "dropout that is off": (lambda: Between(nn.Dropout(0.0)), "segments"),
    "attention within an example": (
        lambda: Between(lambda h: attention_within(h.reshape(-1, 3, 2)).flatten(1)),
        "segments",
    ),
    "words first": (WordsFirst, "vmap"),
    "asks itself": (AsksItself, "single"),
    "tokens": (Tokens, "vmap"),
    "cubic": (lambda: Between(lambda h: 1e-3 * h**3), "segments"),
}


def attention_within(words: torch.Tensor) -> torch.Tensor:
    return functional.softmax(words @ words.mT, dim=-1) @ words


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_is_taken_and_its_rows_are_those_of_single_examples(name):
    make, method = HONEST[name]
    task = table_task(lambda: make().eval(), SIZES)
    gradients = CohortGradients(task, 0.4)
    assert gradients.method == method
    weights = flat_weights(task.model())
    for row, records in zip(gradients(weights, range(3)), task.holders, strict=True):
        expected = slow_row(task, weights, records, 0.4)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)
    plain = CohortGradients(task, None)(weights, [0])[0]
    expected = slow_row(task, weights, task.holders[0], None)
    np.testing.assert_allclose(plain, expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_computes_in_float32_only_is_tried_in_float32():
    assert CohortGradients(table_task(Single, SIZES), 0.4).method == "segments"
    with pytest.raises(PartError, match=r"task\.model"):
        CohortGradients(table_task(Centred, SIZES), 0.4)


@pytest.mark.parametrize("make", [TASKS["mlp"], lambda s: table_task(WordsFirst, s)])
def test_one_record_more_moves_the_sum_by_no_more_than_the_clip(make):
    task = make((6, 6))
    weights = flat_weights(task.model())
    gradients = CohortGradients(task, 0.01, dtype=torch.float64)
    masks = [np.ones(6, bool), np.arange(6) != 2]
    sums = [gradients.bounded(weights, 0, 0.01, mask)[0][0] for mask in masks]
    assert 0 < np.linalg.norm(sums[0] - sums[1]) <= 0.01 * (1 + 1e-9)


@pytest.mark.parametrize("norm", ["none", "group", "group_and_weights"])
@pytest.mark.parametrize("loss", ["bce", "dice", "focal"])
def test_the_scan_models_are_taken_with_every_loss(norm, loss):
    model = {"kind": "gajdosech_unet", "levels": 2, "width": 8 if norm == "none" else 2}
    part = {
        "kind": "scan_segmentation",
        "size": 16,
        "records_per_holder": 2,
        "held_out": 4,
        "model": model | {"norm": norm},
        "loss": {"kind": loss},
    }
    assert CohortGradients(tasks.build(tasks.check(part), 2, 0), 0.1).method in ("planes", "layers")


@pytest.mark.parametrize("kind", ["breast_cancer", "digits"])
def test_the_tables_are_taken_also_as_views_subsets_and_after_a_warm_start(kind):
    digits = {"kind": kind}
    around = [digits, {"kind": "subset", "of": digits}]
    around += [{"kind": "warm_start", "of": digits, "steps": 2}]
    around += [{"kind": "public_subspace", "of": digits, "steps": 2}]
    for part in around:
        assert CohortGradients(tasks.build(tasks.check(part), 3, 0), 0.1).method == "segments"
