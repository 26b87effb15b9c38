"""Versions of fedchain, which pyproject.toml takes from here, and of installed packages."""

import functools
from importlib import metadata

__version__ = "0.1.0"


@functools.cache
def version_of(package: str) -> str:
    """Return the version of an installed package; raise PackageNotFoundError without it."""
    return metadata.version(package)
