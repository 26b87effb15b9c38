"""Known scenarios: finds the run of a scenario that has passed all checks before.

To check a scenario, its model is built, which takes a second or more. A finished run needs no
check: the cache keeps the name of its folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from fedchain.cache import KNOWN, mark_used, place_of, try_add
from fedchain.registry import Section, hash_of_data
from fedchain.scenario.loading import user_parts
from fedchain.scenario.provenance import data_sources, run_digest, run_name
from fedchain.scenario.sections import Scenario
from fedchain.scenario.tree import Node
from fedchain.version import __version__

PACKAGE = Path(__file__).parents[1]
LONGEST_ENTRY = 2**16
"""Limit on the bytes of a file of the cache that is read."""


class KnownData(Section):
    """Data that a run has read."""

    path: str
    """The file or the folder."""
    patterns: tuple[str, ...] | None
    """Patterns of the files in the folder; None for every file."""
    digest: str
    """Hash of the content, as ``hash_of_data`` returns it."""


class KnownRun(Section):
    """The run of a scenario that has passed all checks."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=200)]
    """Name of the run's folder."""
    digest: str
    """Hash of what the run comes from, as ``run_digest`` returns it."""
    data: tuple[KnownData, ...]
    """The data that the run has read."""


def known_run(root: Node) -> KnownRun | None:
    """Return the run of a scenario, given the scenario's merged tree; None if it is not known.

    A scenario is known only to the code that has checked it, and only while its data are as they
    were. A scenario with user-defined parts is never known, since their code may have changed.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    path = _place_of(root)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            found = KnownRun.model_validate_json(file.read(LONGEST_ENTRY))
    except (OSError, ValidationError):
        return None
    mark_used(path)
    unchanged = all(hash_of_data(each.path, each.patterns) == each.digest for each in found.data)
    return found if unchanged else None


def remember_run(root: Node, scenario: Scenario) -> None:
    """Keep the name of the run of a scenario that has passed all checks in the cache.

    Args:
        root: the scenario's merged tree.
        scenario: the checked scenario.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    path = _place_of(root)
    if path is None:
        return
    data = tuple(
        KnownData(path=each.path, patterns=each.patterns, digest=each.digest)
        for each in data_sources(scenario).values()
    )
    known = KnownRun(name=run_name(scenario), digest=run_digest(scenario), data=data)
    if known_run(root) != known:
        text = known.model_dump_json()
        try_add(path, lambda file: file.write(text.encode()))


def _place_of(root: Node) -> Path | None:
    values = root.plain()
    if user_parts(values):
        return None
    # Other code may have other defaults and checks, in a checkout without another version.
    code = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        code.update(f"{file} {file.stat().st_mtime_ns}\n".encode(errors="surrogateescape"))
    text = json.dumps([__version__, code.hexdigest(), values], sort_keys=True, default=str)
    return place_of(KNOWN, text, "txt")
