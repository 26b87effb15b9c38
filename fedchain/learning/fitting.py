"""Fitting: checks that a model and a loss fit the examples of a task, before a run begins."""

from __future__ import annotations

import contextlib
import functools

import torch
from torch import Tensor, nn

from fedchain.arrays import MOST_WEIGHTS
from fedchain.errors import PartError, Problem
from fedchain.learning.evaluation import dimension
from fedchain.learning.task import Loss, Shapes, losses, models
from fedchain.registry import Part

REFUSED = (RuntimeError, ValueError, IndexError, TypeError)
"""Exceptions that torch raises for tensors whose shapes do not fit."""


@functools.lru_cache(256)
def misfits(task: str, model: Part, loss: Part, shapes: Shapes) -> tuple[Problem, ...]:
    """Return a problem that names model or loss, if the two do not fit examples of these shapes.

    User-defined parts are not tried.

    >>> table = Shapes(inputs=(8, 8), outputs=10, targets=())
    >>> [p.key for p in misfits("digits", Part("softmax", {}), Part("focal", {}), table)]
    ['loss.kind']
    """
    if ":" in model.kind or ":" in loss.kind:
        return ()
    try:
        if (size := _parameters(model, shapes)) > MOST_WEIGHTS:
            return (Problem(("model",), _too_large(model.kind, size)),)
        # Tensors without numbers (device ``meta``) would do here, too, but torch would import its
        # compiler to compute with them, which takes more than a second.
        outputs = _outputs(model, shapes)
    except REFUSED as error:
        return (Problem(("model",), f"does not fit {task}: {error}"),)
    if _fits(loss, outputs, shapes):
        return ()
    able = [kind for kind in losses.names() if _fits(Part(kind, {}), outputs, shapes)]
    if able:
        words = f"{loss.kind} does not fit the outputs of {model.kind} for {task}"
        return (Problem(("loss", "kind"), f"{words}; allowed with this model: {', '.join(able)}"),)
    words = f"{model.kind} gives one example outputs of shape {tuple(outputs.shape[1:])}"
    text = f"{words}, which no loss compares with the targets of {task}, shape {shapes.targets}"
    return (Problem(("model", "kind"), f"{text}; allowed: {', '.join(_able_models(shapes))}"),)


def _parameters(model: Part, shapes: Shapes) -> int:
    """Return the number of parameters of a model, for which no memory is taken."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return dimension(models.build(model, shapes.inputs, shapes.outputs))


def _too_large(kind: str, size: int) -> str:
    return (
        f"{kind} has {size:,} parameters, and one gradient of it takes {4 * size / 1e9:.1f} GB; "
        f"allowed in a federated run: at most {MOST_WEIGHTS:,} parameters"
    )


@functools.lru_cache(64)
def _able_models(shapes: Shapes) -> tuple[str, ...]:
    """Return the names of the models whose outputs fit some loss."""
    found = []
    for kind in models.names():
        try:
            outputs = _outputs(Part(kind, {}), shapes)
        except REFUSED:
            continue
        if any(_fits(Part(each, {}), outputs, shapes) for each in losses.names()):
            found.append(kind)
    return tuple(found)


def _outputs(model: Part, shapes: Shapes) -> Tensor:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        module = models.build(model, shapes.inputs, shapes.outputs)
        found: Tensor = module(torch.zeros(2, *shapes.inputs))
    return found


def _fits(loss: Part, outputs: Tensor, shapes: Shapes) -> bool:
    number = torch.float32 if shapes.targets else torch.int64
    targets = torch.zeros(2, *shapes.targets, dtype=number, device="cpu")
    try:
        return losses.build(loss)(outputs, targets).shape == (2,)
    except REFUSED:
        return False


def check_fit(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> None:
    """Try a model and a loss on a few examples.

    Raises:
        PartError: the model or the loss fails, the loss is not one number for each example, or a
            parameter of the model is frozen or has no effect on the loss.
    """
    parameters = dict(module.named_parameters())
    frozen = [name for name, value in parameters.items() if not value.requires_grad]
    if frozen:
        raise PartError(
            f"task.model: parameter {frozen[0]} is frozen (requires_grad is False), but all "
            "parameters are learned; a buffer is allowed for what stays as it is"
        )
    try:
        found = loss(module(inputs), targets)
        shape = tuple(found.shape)
        gradients = torch.autograd.grad(found.sum(), list(parameters.values()), allow_unused=True)
    except Exception as error:  # the model or the loss may be code of the user's own
        raise PartError(_misfit_words(module, inputs, targets, error)) from error
    if shape != (len(inputs),):
        words = f"task.loss: must be one number for each example, shape ({len(inputs)},)"
        hint = "" if shape else "; write reduction='none', since privacy clips each one alone"
        raise PartError(f"{words}, got shape {shape}{hint}")
    unused = [n for n, each in zip(parameters, gradients, strict=True) if each is None]
    if unused:
        raise PartError(
            f"task.model: parameter {unused[0]} has no effect on the loss, but would get noise; "
            "only parameters that forward uses are allowed"
        )


def _misfit_words(module: nn.Module, inputs: Tensor, targets: Tensor, error: Exception) -> str:
    """Say why a model or a loss failed on some examples, and what to write."""
    labels = targets.ndim == 1 and not targets.is_floating_point()
    with contextlib.suppress(Exception), torch.no_grad():
        outputs = module(inputs)
        if labels and outputs.ndim == 2 and int(targets.max()) >= outputs.shape[1] > 1:
            return (
                f"task.model: has {outputs.shape[1]} outputs, but labels go up to "
                f"{int(targets.max())}; labels count from 0, and each class needs an output"
            )
        if targets.ndim == 1 and not labels and bool((targets == targets.round()).all()):
            return (
                f"task.loss: takes no labels of type {str(targets.dtype).removeprefix('torch.')}: "
                f"{_one_line(error)}; write labels.astype(np.int64)"
            )
    shapes = f"inputs {tuple(inputs.shape)}, targets {tuple(targets.shape)}"
    return f"task: model and loss do not fit examples of {shapes}: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
