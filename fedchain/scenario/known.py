"""Known scenarios: finds the run of a scenario that has passed all checks before.

To check a scenario, its model is built, which takes a second or more. A finished run needs no
check: the cache keeps the name of its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from fedchain.cache import KNOWN, mark_used, place_of, try_add
from fedchain.scenario.loading import user_parts
from fedchain.scenario.sections import Scenario
from fedchain.scenario.tree import Node
from fedchain.scenario.writing import run_name, scenario_digest
from fedchain.version import __version__

PACKAGE = Path(__file__).parents[1]
_LINES = re.compile(r"(?P<name>[\w.-]+)\n(?P<digest>[0-9a-f]{64})\n", re.ASCII)


@dataclass(frozen=True)
class KnownRun:
    """The run of a scenario that has passed all checks."""

    name: str
    """Name of the run's folder."""
    digest: str
    """Hash of the scenario, as ``scenario_digest`` returns it."""


def known_run(root: Node) -> KnownRun | None:
    """Return the run of a scenario, given the scenario's merged tree; None if it is not known.

    A scenario is known only to the code that has checked it. A scenario with user-defined parts is
    never known, since their code may have changed.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    path = _place_of(root)
    if path is None:
        return None
    try:
        found = _LINES.fullmatch(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    mark_used(path)
    return KnownRun(**found.groupdict()) if found else None


def remember_run(root: Node, scenario: Scenario) -> None:
    """Keep the name of the run of a scenario that has passed all checks in the cache.

    Args:
        root: the scenario's merged tree.
        scenario: the checked scenario.

    Raises:
        DataError: FEDCHAIN_CACHE_BYTES is not a number of bytes.
    """
    path = _place_of(root)
    if path is not None and not path.exists():
        text = f"{run_name(scenario)}\n{scenario_digest(scenario)}\n"
        try_add(path, lambda file: file.write(text.encode("ascii")))


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
