"""Versions of fedchain, which pyproject.toml takes from here, and of installed packages."""

import functools

__version__ = "0.1.0"


@functools.cache
def version_of(package: str) -> str:
    """Return the version of an installed package; raise PackageNotFoundError without it."""
    from importlib import metadata  # not before the current folder has left the module path

    return metadata.version(package)
