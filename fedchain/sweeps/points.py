"""The points of a sweep: every combination of the grid, times seeds, each a scenario."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.scenario import Scenario, digest, from_mapping, run_name, written


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    number: int
    """Place in the sweep, from 0."""
    values: Mapping[str, Any]
    """Grid value by dotted path."""
    scenario: Scenario
    """What is run: the sweep's scenario with these values and this seed."""

    @property
    def run(self) -> str:
        """Name of its run folder."""
        return run_name(self.scenario)


def points_of(scenario: Scenario, seeds: int | None = None) -> tuple[Point, ...]:
    """Return every point, the seeds of one combination side by side.

    The names depend on the scenario alone, so that a sweep that starts again finds its runs.

    Args:
        scenario: a scenario with a ``sweep`` section.
        seeds: takes the place of the section's number of seeds, 1 or more.

    Raises:
        ScenarioError: no ``sweep`` section, or a point that is no scenario.
        ValueError: seeds below 1.
    """
    if scenario.sweep is None:
        text = "is missing; write for example sweep: {grid: {privacy.epsilon: [1, 8]}, seeds: 5}"
        raise ScenarioError([Problem(("sweep",), text)])
    count = scenario.sweep.seeds if seeds is None else seeds
    if count < 1:
        raise ValueError(f"seeds: must be at least 1, got {count}")
    # A default is the kind's own: it does not stay when an axis changes the kind.
    base = {**written(scenario), "sweep": None}
    grid = scenario.sweep.grid
    found: list[Point] = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        first = Point(0, values, from_mapping(base, set=values))
        for seed in range(first.scenario.seed, first.scenario.seed + count):
            own = first.scenario.model_copy(update={"seed": seed})
            found.append(replace(first, number=len(found), scenario=own))
    return tuple(found)


def sweep_name(scenario: Scenario) -> str:
    """Return the name of the sweep's folder: the same grid and first seed are found again.

    The number of seeds is no part of it, so that a sweep can be given more of them later.
    """
    assert scenario.sweep is not None
    grid = {path: list(values) for path, values in scenario.sweep.grid.items()}
    text = json.dumps([digest(scenario), scenario.seed, grid], default=str, sort_keys=True)
    return f"{scenario.name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
