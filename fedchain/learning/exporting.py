"""Exporting: writes a model as a file that other programs read, and that runs no code."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fedchain.extras import needed_package


def state_dict_bytes(module: nn.Module) -> bytes:
    """Return the weights and buffers of a module by name, as ``torch.save`` writes them.

    ``torch.load(file, weights_only=True)`` reads them.
    """
    file = io.BytesIO()
    torch.save({name: value.cpu() for name, value in module.state_dict().items()}, file)
    return file.getvalue()


def safetensors_bytes(module: nn.Module, notes: Mapping[str, str]) -> bytes:
    """Return the weights and buffers of a module by name, in the format safetensors.

    ``notes`` becomes the file's metadata.

    Raises:
        MissingExtra: the package safetensors is not installed.
    """
    package = needed_package("safetensors.torch", "models", "export-model")
    tensors = {name: value.cpu().contiguous() for name, value in module.state_dict().items()}
    made: bytes = package.save(tensors, metadata=dict(notes))
    return made


def onnx_bytes(
    module: nn.Module,
    example: torch.Tensor,
    name: str = "inputs",
    *,
    any_number: bool = False,
    where: str = "export-model",
    extra: str = "models",
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """Return a model as an ONNX file with one input and the output ``logits``.

    Args:
        module: the model.
        example: example of the input; the file is for inputs of its shape and type.
        name: name of the input.
        any_number: whether the number of examples may differ from that of ``example``.
        where: beginning of error messages.
        extra: the extra of fedchain that installs the package onnx.
        notes: metadata of the file.

    Raises:
        MissingExtra: the package onnx is not installed.
        torch.onnx.errors.OnnxExporterError: ONNX has no operation for a layer of the model.
    """
    # torch has two exporters. Both need the package onnx, and the newer one (dynamo=True) needs
    # onnxscript too. Neither needs torchvision.
    package = needed_package("onnx", extra, where)
    file: Any = io.BytesIO()  # the types of torch forget that it may be a file
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            file,
            dynamo=False,
            input_names=[name],
            output_names=["logits"],
            dynamic_axes={name: {0: "examples"}, "logits": {0: "examples"}} if any_number else None,
        )
    made: bytes = file.getvalue()
    if notes:
        model = package.load_model_from_string(made)
        package.helper.set_model_props(model, dict(notes))
        made = model.SerializeToString()
    return made
