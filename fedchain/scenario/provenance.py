"""Provenance: what the results of a run come from besides its scenario and seed.

These are the user's own code, the contents of data files, and fedchain itself. A run's name covers
them all, so that a finished run is found again only while they are as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fedchain.errors import Problem
from fedchain.registry import (
    data_of,
    hash_of_data,
    own_code,
)
from fedchain.scenario.loading import user_parts
from fedchain.scenario.own import parts_of
from fedchain.scenario.sections import Scenario
from fedchain.scenario.writing import NAMED_DIGITS, UNHASHED, plain_values, scenario_digest
from fedchain.version import __version__

SHOWN_DIGITS = 8
"""Number of hexadecimal digits of a hash in a message."""


@dataclass(frozen=True)
class Provenance:
    """What a run comes from besides its scenario and seed."""

    fedchain: str
    """Version of fedchain."""
    code: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each source file of user-defined parts, by the module's name."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Hash of the data at each path, by its key in the scenario, such as ``task.path``; an empty
    text if nothing was there."""

    @property
    def plain(self) -> dict[str, Any]:
        """The provenance as values for JSON."""
        return {"fedchain": self.fedchain, "code": dict(self.code), "data": dict(self.data)}


@dataclass(frozen=True)
class DataSource:
    """A path of a scenario from which a part reads data."""

    path: str
    """The file or the folder."""
    patterns: tuple[str, ...] | None
    """Patterns of the files in the folder; None for every file."""

    @property
    def digest(self) -> str:
        """Hash of the content now, as ``hash_of_data`` returns it."""
        return hash_of_data(self.path, self.patterns)


def data_sources(scenario: Scenario) -> dict[str, DataSource]:
    """Return what a scenario reads from the disk, by the key of the path in the scenario."""
    found = {}
    for where, part, family in parts_of(scenario):
        if where[0] in UNHASHED:  # the run computes the same with another engine
            continue
        if (given := data_of(part, family)) is not None:
            found[Problem((*where, "path"), "").key] = DataSource(*given)
    return found


def provenance_of(scenario: Scenario, only: str | None = None) -> Provenance:
    """Return what a run of a scenario would come from now.

    Args:
        scenario: the scenario.
        only: the only section whose code and data are looked at, such as ``task``; None: all.

    Raises:
        PartError: the source of a user-defined part was changed after it had been imported.
    """
    whole = {k: v for k, v in plain_values(scenario).items() if k not in UNHASHED}
    values = whole if only is None else {only: whole[only]}
    code = dict[str, str]()
    for kind in user_parts(values):
        code |= own_code(kind)
    sources = {
        key: source
        for key, source in data_sources(scenario).items()
        if only is None or key.startswith(f"{only}.")
    }
    data = {key: source.digest for key, source in sources.items()}
    return Provenance(__version__, dict(sorted(code.items())), data=data)


def run_digest(scenario: Scenario, stated: Mapping[str, Any] | None = None) -> str:
    """Return a hash, 64 hex digits, of all that a run comes from except its seed.

    Args:
        scenario: the scenario.
        stated: the provenance that a manifest states; None: the provenance now.
    """
    origin = provenance_of(scenario).plain if stated is None else stated
    text = json.dumps([scenario_digest(scenario), origin], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def run_name(scenario: Scenario) -> str:
    """Return the name of the run's folder.

    The same scenario and seed with the same code and data give the same name.
    """
    return f"{scenario.name}-{run_digest(scenario)[:NAMED_DIGITS]}-s{scenario.seed}"


def changes_since(stated: Mapping[str, Any], now: Provenance) -> list[str]:
    """Return a sentence for each thing that is not what a manifest states.

    >>> then = {"fedchain": "0.0.1", "code": {"lab": "1" * 64}, "data": {}}
    >>> changes_since(then, Provenance("0.1.0", {"lab": "2" * 64}))
    ['fedchain: was 0.0.1, is 0.1.0', 'code lab: was 11111111, is 22222222']
    """
    there, here = str(stated.get("fedchain")), now.fedchain
    found = [f"fedchain: was {there:.40}, is {here}"] if there != here else []
    for what, hashes in (("code", now.code), ("data", now.data)):
        before = stated.get(what, {})
        found += [
            f"{what} {name}: was {_short(before.get(name))}, is {_short(hashes.get(name))}"
            for name in sorted(before.keys() | hashes.keys())
            if before.get(name) != hashes.get(name)
        ]
    return found


def _short(digest: object) -> str:
    return str(digest)[:SHOWN_DIGITS] if digest else "absent"
