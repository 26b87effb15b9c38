"""Back ends: ways to compute one model, by PyTorch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from fedchain.scans.benchmark.exported import onnx_runtime, openvino
from fedchain.scans.benchmark.workload import Workload

Precision = Literal["float32", "bfloat16"]
Inference = Callable[[], torch.Tensor]
"""Computes the logits of one scan, as float32 on the CPU."""
TRAINING_RATE = 1e-3
"""Learning rate of Adam in the steps that are timed; it changes nothing of their duration."""


@dataclass(frozen=True, eq=False)
class Training:
    """A model that is trained by one step after the other."""

    model: nn.Module
    """The model; after a step, its parameters hold the gradients of this step."""
    step: Callable[[], None]
    """Makes one step on the whole batch: forward, backward, Adam."""


@dataclass(frozen=True)
class Backend:
    """One way to compute the model."""

    api: str
    """The library."""
    name: str
    """The way in which the library computes."""
    precision: Precision
    """Numbers of the products; sums and results are float32."""
    devices: tuple[str, ...]
    """Kinds of devices on which it can compute: ``cpu``, ``cuda``."""
    inference: Callable[[Workload, str, int], Inference]
    """Prepares inference on a device with a number of threads."""
    training: Callable[[Workload, str], Training] | None = None
    """Prepares training on a device; None if the back end cannot train."""
    slow_to_prepare: bool = False
    """Whether the preparation takes tens of seconds, so that one number of threads is enough."""


@dataclass(frozen=True)
class _Way:
    """The options of PyTorch that one back end sets."""

    compiled: bool = False
    channels_last: bool = False
    bfloat16: bool = False
    frozen: bool = False


def _torch(name: str, way: _Way) -> Backend:
    precision: Precision = "bfloat16" if way.bfloat16 else "float32"
    training = None if way.frozen else partial(_torch_training, way)
    return Backend(
        "PyTorch",
        name,
        precision,
        ("cpu", "cuda"),
        partial(_torch_inference, way),
        training,
        slow_to_prepare=way.compiled,
    )


def _placed(way: _Way, tensors: list[torch.Tensor], device: str) -> list[torch.Tensor]:
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    return [
        each.to(device, memory_format=layout) if each.ndim == 4 else each.to(device)
        for each in tensors
    ]


def _model(way: _Way, workload: Workload, device: str) -> nn.Module:
    model = copy.deepcopy(workload.model).to(device)
    # The type of .to says nothing of its memory format.
    return model.to(memory_format=torch.channels_last) if way.channels_last else model  # type: ignore[call-overload]


@contextlib.contextmanager
def _precision(way: _Way, device: str) -> Iterator[None]:
    with torch.autocast(device, torch.bfloat16, enabled=way.bfloat16):
        yield


def _torch_inference(way: _Way, workload: Workload, device: str, threads: int) -> Inference:  # noqa: ARG001
    model = _model(way, workload, device).eval()
    (image,) = _placed(way, [workload.images[:1]], device)
    run: Callable[[torch.Tensor], torch.Tensor] = model
    if way.compiled:
        run = torch.compile(model, dynamic=False)
    elif way.frozen:
        run = _frozen(model, image)

    def infer() -> torch.Tensor:
        with torch.inference_mode(), _precision(way, device):
            return run(image).float().cpu()

    return infer


def _frozen(model: nn.Module, image: torch.Tensor) -> Any:
    script: Any = torch.jit  # its functions have no types
    with warnings.catch_warnings():
        # TorchScript is deprecated, but the versions of torch that fedchain allows have it.
        warnings.simplefilter("ignore")
        return script.freeze(script.trace(model, image))


def _torch_training(way: _Way, workload: Workload, device: str) -> Training:
    model = _model(way, workload, device).train()
    images, targets = _placed(way, [workload.images, workload.targets], device)
    run: Callable[[torch.Tensor], torch.Tensor] = (
        torch.compile(model, dynamic=False) if way.compiled else model
    )
    optimizer = torch.optim.Adam(model.parameters(), TRAINING_RATE)

    def step() -> None:
        optimizer.zero_grad()
        with _precision(way, device):
            outputs = run(images)
        workload.loss(outputs.float(), targets).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return Training(model, step)


def _exported(api: str, precision: Precision, make: Callable[..., Inference]) -> Backend:
    def prepare(workload: Workload, _: str, threads: int) -> Inference:
        return make(workload.model, workload.images[:1], threads, precision)

    name = "CPU" if precision == "float32" else precision
    return Backend(api, name, precision, ("cpu",), prepare)


EAGER = _torch("eager", _Way())
BACKENDS = (
    EAGER,
    _torch("channels last", _Way(channels_last=True)),
    _torch("bfloat16", _Way(bfloat16=True)),
    _torch("channels last, bfloat16", _Way(channels_last=True, bfloat16=True)),
    _torch("jit freeze", _Way(frozen=True)),
    _torch("compiled", _Way(compiled=True)),
    _exported("ONNX Runtime", "float32", onnx_runtime),
    _exported("OpenVINO", "float32", openvino),
    _exported("OpenVINO", "bfloat16", openvino),
)
"""All back ends; the first one is that to which the others are compared."""
