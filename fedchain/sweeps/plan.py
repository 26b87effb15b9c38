"""Plan of a sweep: how many points run side by side, and how long the sweep takes."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from fedchain.engines import chosen
from fedchain.engines.engine import placed
from fedchain.errors import FedchainError
from fedchain.scenario import Scenario
from fedchain.sweeps.points import Point

MEMORY_SHARE = 0.5
"""Largest share of the machine's free memory that points side by side may take."""
WORTH_S = 10.0
"""Shortest sweep for which processes are started, seconds in one process."""
MOST_SHAPES = 16
"""Largest number of points that are tried; further ones take as long as their mean."""


@dataclass(frozen=True)
class Plan:
    """How many points run at the same time, and how long the sweep takes."""

    workers: int
    """Number of points that run at the same time; 1: each point uses all cores."""
    seconds: float | None
    """Estimated wall time of all runs; None if a point cannot be tried."""
    disk_mb: float | None
    """Estimated size of all run folders, MB; None if a point cannot be tried."""


@dataclass(frozen=True)
class Estimate:
    """What one point takes."""

    seconds: float
    """Wall time of the point without that of loading the libraries, seconds."""
    load_s: float
    """Time in which a process loads the libraries, seconds."""
    memory_mb: float
    """Memory of a process that runs the point, MB."""
    disk_mb: float
    """Size of the point's run folder, MB."""


def plan_of(points: Sequence[Point], workers: int | None) -> Plan:
    """Plan the points that are still to be run.

    Small points run side by side, one on each core. Large ones, of which the memory holds few, run
    one after the other on all cores, and so do points on a GPU or in an engine of processes.

    Args:
        points: the points to run.
        workers: number of points that run at the same time; None: the plan decides.
    """
    try:
        spent = [_estimate(point.scenario) for point in _tried(points)]
    except (FedchainError, ValueError, ArithmeticError, RuntimeError, OSError, MemoryError):
        return Plan(workers or 1, None, None)  # the runs say what is wrong
    if not spent:
        return Plan(workers or 1, 0.0, 0.0)
    each_s = statistics.fmean(each.seconds for each in spent)
    load_s = spent[0].load_s  # a process loads the libraries once
    if workers is None:
        memory_mb = max(each.memory_mb for each in spent)
        workers = _beside(points, load_s + each_s * len(points), memory_mb)
    disk_mb = len(points) * statistics.fmean(each.disk_mb for each in spent)
    return Plan(workers, load_s + each_s * math.ceil(len(points) / workers), disk_mb)


def _beside(points: Sequence[Point], seconds: float, memory_mb: float) -> int:
    """Return how many points run side by side.

    ``seconds`` is the time of all points one after the other, ``memory_mb`` the memory of one.
    """
    cores, free_mb = os.cpu_count() or 1, psutil.virtual_memory().available / 1e6
    fit = cores * memory_mb <= MEMORY_SHARE * free_mb
    if seconds < WORTH_S or not fit or not all(_on_threads(point.scenario) for point in points):
        return 1
    return min(cores, len(points))


def _on_threads(scenario: Scenario) -> bool:
    """Return whether a run computes in threads on processors."""
    part = chosen(scenario, None, None)
    return part.kind == "threads" and placed(part.parameters["device"]) == "cpu"


def _tried(points: Sequence[Point]) -> list[Point]:
    """Return one point for each combination of sizes on which time and memory depend."""
    found: dict[str, Point] = {}
    for point in points:
        given = point.scenario
        sizes = given.task, given.nodes, given.rounds, given.ledger, given.privacy.kind
        found.setdefault(repr(sizes), point)
    return list(found.values())[:MOST_SHAPES]


def _estimate(scenario: Scenario) -> Estimate:
    from fedchain.forecasts.forecast import START_S, forecast  # imports torch

    told = forecast(scenario).values["estimates"]
    return Estimate(told["seconds"] - START_S, START_S, told["memory_mb"], told["disk_mb"])
