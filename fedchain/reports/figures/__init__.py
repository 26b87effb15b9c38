"""Figures of a study: all those for which the study has data."""

from __future__ import annotations

from fedchain.reports.figures.axis import metric_against_axis
from fedchain.reports.figures.chains import (
    effort_until_target,
    measured_against_law,
    releases_against_stale,
)
from fedchain.reports.figures.rounds import epsilon_over_rounds, metric_over_rounds
from fedchain.reports.figures.run import (
    heads_over_time,
    samples,
    time_per_round,
    used_and_rejected,
)
from fedchain.reports.figures.style import Drawing, styled
from fedchain.reports.study import Study

FIGURE_KINDS = ("pdf", "svg", "png")
"""Kinds of figure files."""


def draw(study: Study) -> list[Drawing]:
    """Return every figure for which the study has data, the most important first."""
    loss = "loss" if study.score != "loss" else ""
    with styled():
        drawn = (
            measured_against_law(study),
            effort_until_target(study),
            releases_against_stale(study),
            metric_against_axis(study),
            metric_over_rounds(study, study.score),
            samples(study),
            used_and_rejected(study),
            heads_over_time(study),
            epsilon_over_rounds(study),
            metric_over_rounds(study, loss),
            time_per_round(study),
        )
    return [drawing for drawing in drawn if drawing is not None]
