import itertools

import pytest
import torch
from torch import nn

from fedchain.errors import PartError, ScenarioError
from fedchain.learning.fitting import check_fit
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import losses, models, tasks
from fedchain.scenario import Scenario, from_mapping

SMALL = {"size": 16, "records_per_holder": 2, "held_out": 2}
TABLES = {("softmax", "cross_entropy"), ("mlp", "cross_entropy")}
LOSSES = "cross_entropy", "focal", "bce", "dice"
FITTING = {
    "breast_cancer": TABLES
    | {("logistic", loss) for loss in ("cross_entropy", "focal", "bce", "dice")},
    "digits": TABLES,
    "scan_segmentation": {("gajdosech_unet", loss) for loss in LOSSES[1:]},
}
BATCH = torch.ones(2, 3), torch.tensor([0, 1])


def task_of(kind: str, model: str, loss: str) -> dict[str, object]:
    small = SMALL if kind == "scan_segmentation" else {}
    return {"kind": kind, "model": {"kind": model}, "loss": {"kind": loss}, **small}


def checked(task: dict[str, object], **more: object) -> Scenario:
    values = {"version": 1, "name": "small", "rounds": 1, "nodes": {"holders": 2, "compute": 1}}
    baseline = {"privacy": {"kind": "none"}, "aggregation": {"kind": "mean"}}
    return from_mapping({**values, **baseline, "task": task, **more})


@pytest.mark.parametrize("kind", FITTING)
def test_a_scenario_is_refused_exactly_if_its_model_and_loss_fail_on_the_task(kind):
    for model, loss in itertools.product(models.names(), losses.names()):
        task = task_of(kind, model, loss)
        if (model, loss) in FITTING[kind]:
            part = checked(task).task
            CohortGradients(tasks.build(part, 2, 0), 1.0)
            continue
        with pytest.raises(ScenarioError, match=r"task\.(model|loss)[.a-z]*: ") as refused:
            checked(task)
        assert str(refused.value).count("\n") == 0
        with pytest.raises((PartError, ValueError, RuntimeError)):
            CohortGradients(tasks.build(tasks.check(task), 2, 0), 1.0)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (
            task_of("digits", "softmax", "focal"),
            r"task.loss.kind: focal does not fit the outputs of softmax for digits; allowed with "
            r"this model: cross_entropy$",
        ),
        (
            {"kind": "augmented", "of": task_of("scan_segmentation", "softmax", "bce")},
            r"task.of.model.kind: softmax gives .* allowed: gajdosech_unet$",
        ),
        (
            {"kind": "scan_folder", "path": "nowhere", "tile": 18},
            r"task.model: does not fit scan_folder: gajdosech_unet: 18 x 18 pixels",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_key_and_what_is_allowed(task, words):
    with pytest.raises(ScenarioError, match=words):
        checked(task)


def test_every_point_of_a_sweep_is_checked_before_the_first_runs():
    grid = {"task.model.kind": ["softmax", "gajdosech_unet"]}
    with pytest.raises(ScenarioError, match=r"task.model: does not fit digits"):
        checked({"kind": "digits"}, sweep={"grid": grid})


class Frozen(nn.Module):
    def __init__(self, *, freeze: bool) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(3, 2), nn.Linear(3, 2)
        if freeze:
            self.idle.requires_grad_(False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.used(inputs)
        return found


@pytest.mark.parametrize(
    ("module", "loss", "words"),
    [
        (Frozen(freeze=True), cross_entropy(), "parameter idle.weight is frozen"),
        (Frozen(freeze=False), cross_entropy(), "parameter idle.weight has no effect on the loss"),
        (nn.Linear(4, 2), cross_entropy(), r"do not fit .* inputs \(2, 3\), targets \(2,\)"),
        (nn.Linear(3, 2), lambda outputs, _: outputs.sum(), r"one number for each .* \(2,\)"),
        (nn.Linear(3, 2), lambda *_: torch.zeros(2), "does not require grad"),
    ],
)  # fmt: skip
def test_a_model_or_loss_that_cannot_learn_is_refused_in_words(module, loss, words):
    with pytest.raises(PartError, match=words):
        check_fit(module, loss, *BATCH)


def test_what_fits_passes():
    check_fit(nn.Linear(3, 2), cross_entropy(), *BATCH)
