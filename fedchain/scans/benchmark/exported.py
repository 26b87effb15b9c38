"""Inference outside of PyTorch: the model as ONNX, computed by ONNX Runtime or by OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fedchain.extras import needed_package
from fedchain.learning.exporting import onnx_bytes

EXTRA, WHERE = "backends", "benchmark"
"""Extra that installs the packages, and the beginning of error messages."""


def onnx_runtime(
    model: nn.Module,
    image: torch.Tensor,
    threads: int,
    precision: str,  # noqa: ARG001 - on the CPU it computes in float32 alone
) -> Callable[[], torch.Tensor]:
    """Return a function that computes the logits of an image by ONNX Runtime on the CPU.

    Raises:
        MissingExtra: onnx or onnxruntime is not installed.
    """
    package = _package("onnxruntime")
    options = package.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Idle threads that spin would take the processor from the back end that is timed next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = package.InferenceSession(
        _bytes_of(model, image), options, providers=["CPUExecutionProvider"]
    )
    given = {"image": image.numpy()}
    return lambda: torch.from_numpy(session.run(None, given)[0])


def openvino(
    model: nn.Module, image: torch.Tensor, threads: int, precision: str
) -> Callable[[], torch.Tensor]:
    """Return a function that computes the logits of an image by OpenVINO on the CPU.

    Raises:
        MissingExtra: onnx or openvino is not installed.
    """
    package = _package("openvino")
    # OpenVINO can also convert a model of torch, but its converter reports usage over the network.
    core = package.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }
    compiled = core.compile_model(core.read_model(_bytes_of(model, image)), "CPU", settings)
    given = image.numpy()
    return lambda: torch.from_numpy(compiled([given])[0].copy())


def _bytes_of(model: nn.Module, image: torch.Tensor) -> bytes:
    return onnx_bytes(model, image, "image", where=WHERE, extra=EXTRA)


def _package(name: str) -> Any:
    return needed_package(name, EXTRA, WHERE)
