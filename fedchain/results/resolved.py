"""Scenario of a run folder: reads it, and imports user-defined code only on request."""

from __future__ import annotations

from pathlib import Path

from fedchain.errors import cannot
from fedchain.files import read_bytes
from fedchain.scenario import Scenario, from_resolved, user_parts
from fedchain.scenario.reading import MAX_BYTES, read_yaml, text_in

RESOLVED = "resolved.yaml"
"""Name of the file with the scenario and all default values."""


def read_resolved(folder: Path, *, trust_user_parts: bool = False) -> Scenario:
    """Return the scenario of a run folder.

    Args:
        folder: the run folder.
        trust_user_parts: whether to import user-defined parts that the scenario names.

    Raises:
        RunRefused: the file is missing or cannot be read.
        ScenarioError: the scenario is wrong, or names user-defined parts that are not trusted.
    """
    return from_resolved(_text(folder), folder / RESOLVED, trust_user_parts=trust_user_parts)


def names_user_parts(folder: Path) -> bool:
    """Return whether the scenario of a run folder names user-defined parts.

    Raises:
        RunRefused: the file is missing or cannot be read.
        ScenarioError: the file is no YAML.
    """
    return bool(user_parts(read_yaml(_text(folder), str(folder / RESOLVED))[0].plain()))


def _text(folder: Path) -> str:
    path = folder / RESOLVED
    try:
        return text_in(read_bytes(path, MAX_BYTES), str(path))
    except OSError as error:
        raise cannot(path, "be read", error) from error
