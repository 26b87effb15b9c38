"""Inference outside of PyTorch: the model as ONNX, computed by ONNX Runtime or by OpenVINO."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from fedchain.errors import MissingExtra


def onnx_bytes(model: nn.Module, image: torch.Tensor) -> bytes:
    """Return a model as an ONNX file for images of one shape, with the input ``image``.

    Args:
        model: model that turns images into logits.
        image: example of an image, shape (1, channels, height, width).

    Raises:
        MissingExtra: the package onnx is not installed.
        torch.onnx.errors.OnnxExporterError: ONNX has no operation for a layer of the model.
    """
    # torch has two exporters. Both need the package onnx, and the newer one (dynamo=True) needs
    # onnxscript too. Neither needs torchvision.
    _package("onnx")
    file: Any = io.BytesIO()  # the types of torch forget that it may be a file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (image,),
            file,
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
        )
    made: bytes = file.getvalue()
    return made


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
        onnx_bytes(model, image), options, providers=["CPUExecutionProvider"]
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
    compiled = core.compile_model(core.read_model(onnx_bytes(model, image)), "CPU", settings)
    given = image.numpy()
    return lambda: torch.from_numpy(compiled([given])[0].copy())


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        text = (
            f"benchmark: {name} is not installed; install it with: pip install 'fedchain[backends]'"
        )
        raise MissingExtra(text) from error
