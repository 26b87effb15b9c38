"""Points of a sweep: builds a scenario for each combination of grid values and each seed."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.scenario import Scenario, from_mapping, run_name, scenario_digest, written
from fedchain.scenario.sections import Sweep
from fedchain.scenario.writing import NAMED_DIGITS


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    values: Mapping[str, Any]
    """The point's value for each grid key; keys are dotted."""
    scenario: Scenario
    """The scenario with the point's grid values and seed."""

    @cached_property
    def run(self) -> str:
        """Name of the point's run folder."""
        return run_name(self.scenario)


def with_seeds(scenario: Scenario, seeds: int | None) -> Scenario:
    """Return the scenario; add an empty grid if it has no ``sweep`` section but ``seeds`` is given.

    >>> import fedchain
    >>> with_seeds(fedchain.load("breast_cancer"), 5).sweep.grid
    {}
    """
    if scenario.sweep is not None or seeds is None:
        return scenario
    return scenario.model_copy(update={"sweep": Sweep(grid={})})


def points_of(scenario: Scenario, seeds: int | None = None) -> tuple[Point, ...]:
    """Return all points of a sweep. Points that differ only in the seed are adjacent.

    Args:
        scenario: a scenario with a ``sweep`` section.
        seeds: number of seeds, 1 or more; None: the number in the ``sweep`` section.

    Raises:
        ScenarioError: there is no ``sweep`` section, a point is no valid scenario, or two points
            are the same run.
        ValueError: ``seeds`` is below 1.
    """
    if scenario.sweep is None:
        text = "is missing; write for example sweep: {grid: {privacy.epsilon: [1, 8]}, seeds: 5}"
        raise ScenarioError([Problem(("sweep",), text)])
    count = scenario.sweep.seeds if seeds is None else seeds
    if count < 1:
        raise ValueError(f"seeds: must be at least 1, got {count}")
    # Only written values are copied: a default belongs to its kind, and must not stay when an
    # axis changes the kind.
    base = {**written(scenario), "sweep": None}
    grid = scenario.sweep.grid
    found: list[Point] = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        first = from_mapping(base, set=values)
        seeded = range(first.seed, first.seed + count)
        found += [Point(values, first.model_copy(update={"seed": seed})) for seed in seeded]
    _check_different(found)
    return tuple(found)


def _check_different(points: list[Point]) -> None:
    """Raise ScenarioError if two points are the same run."""
    seen: dict[tuple[str, str, int], Point] = {}
    for point in points:
        asked = point.scenario
        first = seen.setdefault((asked.name, scenario_digest(asked), asked.seed), point)
        if first is not point:
            raise ScenarioError(
                [
                    Problem(
                        ("sweep", "grid"),
                        f"{dict(first.values)} and {dict(point.values)} are one run at seed "
                        f"{point.scenario.seed}; allowed: points that compute different things "
                        "(engine, disk and texts change nothing)",
                    )
                ]
            )


def sweep_name(scenario: Scenario) -> str:
    """Return the name of the sweep's folder, from the scenario, its grid and its first seed."""
    assert scenario.sweep is not None
    # The number of seeds is not part of the name, so that a sweep can get more seeds later.
    grid = {path: list(values) for path, values in scenario.sweep.grid.items()}
    text = json.dumps([scenario_digest(scenario), scenario.seed, grid], default=str, sort_keys=True)
    return f"{scenario.name}-{hashlib.sha256(text.encode()).hexdigest()[:NAMED_DIGITS]}"
