"""Planes: sweeps as cells over two grid keys, and the lines on them where rules break."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from fedchain.arrays import Matrix
from fedchain.reports.breaking import breaking_share, crossing, is_attackers, rho_of_messages
from fedchain.reports.opening import read_run
from fedchain.reports.study import (
    GridValue,
    GridValues,
    Reading,
    Recorded,
    Study,
    capture,
    final,
    over_seeds,
)
from fedchain.reports.words import group_words

LEAST_VALUES, MOST_PANELS = 3, 6
"""LEAST_VALUES: least number of values of each numeric key. MOST_PANELS: most panels in a row."""
KEPT, CAPTURED = 0.9, 0.5
"""A rule breaks where its score falls below KEPT times its score under the fewest attackers, and is
captured where its capture exceeds CAPTURED."""
CLOSED = {
    "closed line of l-nearest, sign flip": False,
    "the same, orthogonal to the gradient": True,
}
"""Whether the colluders' direction is orthogonal to the gradient, by the label of the line."""
Line = list[float]
"""A position on the vertical axis for each value of the horizontal axis; NaN: beyond the axis."""


def is_numeric(study: Study, key: str) -> bool:
    """Return whether all values of a grid key are numbers."""
    return all(isinstance(value, float) for value in values_of(study, key))


def values_of(study: Study, key: str) -> list[GridValue]:
    """Return the values of a grid key; numbers are sorted, others in the order of the grid."""
    place = study.keys.index(key)
    found = list(dict.fromkeys(run.values[place] for run in study.runs))
    numbers = [value for value in found if isinstance(value, float)]
    return [*sorted(numbers)] if len(numbers) == len(found) else found


def cells_of(
    study: Study, down: str, across: str, measure: Reading, rest: GridValues = ()
) -> Matrix:
    """Return the mean of a number for each pair of values of two grid keys; NaN without a run.

    Args:
        study: a sweep.
        down: the grid key of the rows.
        across: the grid key of the columns.
        measure: reads the number from a run.
        rest: the values of the other grid keys, in the order of the grid.
    """
    rows, columns = values_of(study, down), values_of(study, across)
    made = np.full((len(rows), len(columns)), math.nan)
    places = study.keys.index(down), study.keys.index(across)
    for values, runs in study.groups().items():
        others = tuple(v for place, v in enumerate(values) if place not in places)
        if others == rest and (found := over_seeds(runs, measure)) is not None:
            made[rows.index(values[places[0]]), columns.index(values[places[1]])] = found.mean
    return made


@dataclass(frozen=True)
class Plane:
    """A sweep with two numeric grid keys."""

    study: Study
    """The sweep."""
    across: str
    """The grid key of the horizontal axis."""
    down: str
    """The grid key of the vertical axis."""
    panels: dict[GridValues, str]
    """The title of each panel, by the value of the third grid key; by () without a third key."""

    @cached_property
    def xs(self) -> list[float]:
        """Values of the horizontal axis, increasing."""
        return [float(value) for value in values_of(self.study, self.across)]

    @cached_property
    def ys(self) -> list[float]:
        """Values of the vertical axis, increasing."""
        return [float(value) for value in values_of(self.study, self.down)]

    @property
    def attacked(self) -> bool:
        """Whether the vertical axis is the number or the share of attackers."""
        return is_attackers(self.down)

    @cached_property
    def scores(self) -> list[Matrix]:
        """The mean score of each cell, (ys, xs), by panel."""
        return self._cells(partial(final, metric=self.study.score))

    @cached_property
    def captures(self) -> list[Matrix]:
        """The mean capture of each cell, (ys, xs), by panel; 0 where nobody attacks."""
        return self._cells(lambda run: capture(run) or 0.0)

    def _cells(self, measure: Callable[[Recorded], float | None]) -> list[Matrix]:
        return [cells_of(self.study, self.down, self.across, measure, r) for r in self.panels]

    @cached_property
    def broken(self) -> list[Line]:
        """Where each panel's score falls below KEPT times the score in the lowest row."""
        return [
            [crossing(self.ys, column, KEPT * column[0]) for column in cells.T.tolist()]
            for cells in self.scores
        ]

    @cached_property
    def captured(self) -> list[Line]:
        """Where each panel's capture exceeds CAPTURED."""
        return [
            [crossing(self.ys, column, -CAPTURED) for column in (-cells).T.tolist()]
            for cells in self.captures
        ]

    @cached_property
    def closed(self) -> list[Line]:
        """The closed lines of l-nearest, in the order of CLOSED; [] if they are not known.

        The cosine rho of honest directions is measured in the runs by l-nearest without attackers.
        """
        rhos = [self._rho(x) for x in self.xs]
        if any(map(math.isnan, rhos)):
            return []
        holders = int(self.study.first.manifest["scenario"]["nodes"]["holders"])
        unit = holders if self.down.endswith("count") else 1
        return [
            [unit * breaking_share(rho, holders, orthogonal=flat) for rho in rhos]
            for flat in CLOSED.values()
        ]

    def _rho(self, x: float) -> float:
        places = self.study.keys.index(self.across), self.study.keys.index(self.down)
        found = []
        for run in self.study.runs:
            rule = run.manifest["scenario"]["aggregation"]["kind"]
            if rule == "l_nearest" and tuple(run.values[place] for place in places) == (x, 0.0):
                rho = rho_of_messages(read_run(run.folder, messages=True).messages)
                found += [] if rho is None else [rho]
        return statistics.fmean(found) if found else math.nan


def plane_of(study: Study) -> Plane | None:
    """Return the axes of a sweep that fits these figures; None if it does not."""
    numeric = [key for key in study.keys if is_numeric(study, key)]
    others = [key for key in study.keys if key not in numeric]
    if len(numeric) != 2 or len(others) > 1:
        return None
    if any(len(values_of(study, key)) < LEAST_VALUES for key in numeric):
        return None
    across = study.x if study.x in numeric else numeric[0]
    if is_attackers(across):
        (across,) = (key for key in numeric if key != across)
    (down,) = (key for key in numeric if key != across)
    rests: list[GridValues] = [(v,) for key in others for v in values_of(study, key)] or [()]
    titles = {rest: group_words(tuple(others), rest, study.blocks, study.labels) for rest in rests}
    return Plane(study, across, down, titles) if len(rests) <= MOST_PANELS else None
