"""Citations: what to cite for fedchain, and for a run exactly what it used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedchain.errors import RunRefused
from fedchain.registry import (
    FAMILIES,
    LEARNING_CHAIN,
    Family,
    Reference,
    listed_family,
    nested_family,
    parameters,
    references,
    sources_of,
)
from fedchain.results import Run
from fedchain.scenario import Groups, Local
from fedchain.scenario.nodes import Momentum
from fedchain.version import __version__

Use = tuple[str, tuple[str, ...] | None]
"""A part in words, and the keys of its sources; None for a part of the user's own."""
TITLE = (
    "fedchain: federated, blockchain-based, differentially private training of 3D scan models, "
    "simulated"
)
SOFTWARE = Reference(
    "fedchain",
    "software",
    {"author": "{the fedchain authors}", "title": TITLE, "year": "2026", "version": __version__},
    f"@software{{fedchain,\n  author = {{{{the fedchain authors}}}},\n  title = {{{TITLE}}},\n"
    f"  year = {{2026}},\n  version = {{{__version__}}},\n}}",
)
"""fedchain itself, as CITATION.cff says it."""
SECTIONS = {
    "task": "task", "network": "network", "privacy": "mechanism", "aggregation": "aggregation",
    "update": "update",
}  # fmt: skip
"""Families of the sections of a scenario that are parts, by the section's key."""


@dataclass(frozen=True)
class Citation:
    """One source, and what of a run comes from it."""

    source: Reference
    """The source."""
    uses: tuple[str, ...]
    """Parts that the source is cited for, such as ``aggregation krum``."""


def citations(run: str | Path | None = None) -> tuple[list[Citation], list[str]]:
    """Return what to cite: fedchain and its protocol; with a run, also every part that it used.

    Args:
        run: a run's folder, or None.

    Returns:
        The citations, and the parts of the user's own (``module:function``) that the run used. They
        are not imported, and their sources are not known.

    Raises:
        RunRefused: the folder holds no run, or names a part that this version does not have.
    """
    uses: dict[str, list[str]] = {LEARNING_CHAIN: ["the protocol"]}
    own = list[str]()
    if run is not None:
        opened = Run.open(run)
        for words, keys in _used(opened.manifest["scenario"], str(opened.folder)):
            if keys is None:
                own.append(words)
            for key in keys or ():
                uses.setdefault(key, []).append(words)
    known = references()
    found = [Citation(known[key], tuple(dict.fromkeys(words))) for key, words in uses.items()]
    return [Citation(SOFTWARE, ("the program",)), *found], own


def _used(scenario: Mapping[str, Any], folder: str) -> Iterator[Use]:
    """Yield every part of a scenario in words, with the keys of its sources."""
    blocks = [(SECTIONS[key], scenario[key]) for key in SECTIONS if scenario.get(key)]
    attacks = scenario.get("attacks", ())
    blocks += [("misconduct" if attack.get("nodes") else "attack", attack) for attack in attacks]
    if work := scenario.get("ledger", {}).get("work"):
        blocks.append(("work", work))
    for name, block in blocks:
        try:
            yield from _parts(FAMILIES[name].family(), block)
        except ValueError as error:
            raise RunRefused(f"{folder}: {error}") from error
    nodes = scenario.get("nodes", {})
    for name, section in (("groups", Groups), ("momentum", Momentum)):
        if nodes.get(name):
            yield f"nodes.{name}", sources_of(section) or ()
    if scenario.get("local"):
        yield "local", sources_of(Local) or ()


def _parts(family: Family[Any], block: Mapping[str, Any]) -> Iterator[Use]:
    """Yield a part and the parts inside it."""
    kind = str(block["kind"])
    if ":" in kind:
        yield f"{family.name} {kind}", None
        return
    maker: Callable[..., Any] = family.find(kind)
    yield f"{family.name} {kind}", sources_of(maker, block) or ()
    for name, parameter in parameters(maker).items():
        inner, value = nested_family(parameter.annotation), block.get(name)
        if inner is not None and isinstance(value, Mapping):
            yield from _parts(inner, value)
        listed = listed_family(parameter.annotation)
        if listed is not None:
            for each in value or ():
                yield from _parts(listed, each)
