"""Stands for torchvision in a peer's environment, where no build of it fits torch for CPUs.

Three peers import it for data sets and models that the benchmark does not use. The driver copies
this file into their environments; what is imported from it cannot be used.
"""

import sys
from types import ModuleType


def _missing(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)

    def accept(self, *arguments, **options):
        """ByzFL makes its transforms while it is imported."""

    return type(name, (), {"__init__": accept})


for _part in ("datasets", "datasets.utils", "models", "transforms"):
    _module = ModuleType(f"{__name__}.{_part}")
    _module.__getattr__ = _missing
    _module.__path__ = []
    sys.modules[_module.__name__] = _module
    _parent = sys.modules[_module.__name__.rpartition(".")[0]]
    setattr(_parent, _part.rpartition(".")[2], _module)
