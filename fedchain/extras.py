"""Extras: packages that only some functions need, and that users install for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fedchain.errors import MissingExtra


def needed_package(name: str, extra: str, where: str) -> Any:
    """Import a package that an extra of fedchain installs, and return its module.

    Args:
        name: the module: ``onnx``.
        extra: name of the extra: ``models``.
        where: beginning of the error message.

    Raises:
        MissingExtra: the package is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        how = f"install it with: pip install 'fedchain[{extra}]'"
        raise MissingExtra(f"{where}: {package} is not installed; {how}") from error
