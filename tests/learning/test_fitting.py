import itertools

import pytest
import torch
from torch import nn

from fedchain.errors import PartError, ScenarioError
from fedchain.learning import fitting
from fedchain.learning.fitting import check_fit
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import losses, models, tasks
from fedchain.scenario import Scenario, from_mapping

SMALL = {"size": 16, "records_per_holder": 2, "held_out": 2}
TABLES = {("softmax", "cross_entropy"), ("mlp", "cross_entropy")}
MASK_LOSSES = {"bce", "bce_log_jaccard", "border_weighted_bce", "dice", "focal", "softened_bce"}
LOSSES = MASK_LOSSES - {"border_weighted_bce"} | {"cross_entropy"}
SIXTEEN = "gajdosech_fcn", "havaei", "pixels", "unet"
ZOO = *SIXTEEN, "deconvnet", "fcn8s", "ternausnet"
FITTING = {
    "breast_cancer": TABLES | {("logistic", loss) for loss in LOSSES},
    "digits": TABLES | {("cnn", "cross_entropy")},
    "scan_segmentation": {("gajdosech_unet", loss) for loss in MASK_LOSSES}
    | {(model, "bce") for model in SIXTEEN},
}
"""Pairs that fit each task; 16 x 16 pixels cannot be halved five times."""
NARROW = {"gajdosech_unet": {"levels": 1, "width": 1}} | {
    key: {"width": 2} for key in ZOO if key != "pixels"
}
BATCH = torch.ones(2, 3), torch.tensor([0, 1])


def task_of(kind: str, model: str, loss: str) -> dict[str, object]:
    small = SMALL if kind == "scan_segmentation" else {}
    made = {"kind": model, **NARROW.get(model, {})}
    return {"kind": kind, "model": made, "loss": {"kind": loss}, **small}


def checked(task: dict[str, object], **more: object) -> Scenario:
    values = {"version": 1, "name": "small", "rounds": 1, "nodes": {"holders": 2, "compute": 1}}
    baseline = {"privacy": {"kind": "none"}, "aggregation": {"kind": "mean"}}
    return from_mapping({**values, **baseline, "task": task, **more})


@pytest.mark.parametrize("kind", FITTING)
def test_a_scenario_is_refused_exactly_if_its_model_and_loss_fail_on_the_task(kind):
    for model, loss in itertools.product(models.names(), losses.names()):
        if model in ZOO and loss != "bce":
            continue  # they differ from gajdosech_unet only in the images that they take
        task = task_of(kind, model, loss)
        if (model, loss) in FITTING[kind]:
            part = checked(task).task
            if model not in ZOO:  # tests/scans/test_zoo.py has their gradients
                CohortGradients(tasks.build(part, 2, 0), 1.0)
            continue
        with pytest.raises(ScenarioError, match=r"task\.(model|loss)[.a-z]*: ") as refused:
            checked(task)
        assert str(refused.value).count("\n") == 0
        with pytest.raises((PartError, ScenarioError, ValueError, RuntimeError)):
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
            r"task.of.model.kind: softmax gives .* allowed: gajdosech_fcn, gajdosech_unet, "
            r"havaei, pixels, unet$",
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


def test_a_model_too_large_for_a_chain_is_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(fitting, "_outputs", lambda *_: pytest.fail("the model was made"))
    task = {"kind": "scan_segmentation", "model": {"kind": "deconvnet", "width": 64}}
    words = (
        r"task\.model: deconvnet has 251,805,505 parameters, and one gradient of it takes 1\.0 GB; "
        r"allowed in a federated run: at most 33,554,432 parameters$"
    )
    with pytest.raises(ScenarioError, match=words):
        checked(task)


def test_what_fits_passes():
    check_fit(nn.Linear(3, 2), cross_entropy(), *BATCH)
