"""Figures of a study: draws all figures for which the study has data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fedchain.reports.figures import axis, chains, fates, maps, noise, phases, rounds, run, style
from fedchain.reports.study import Study
from fedchain.reports.words import partial_words

FIGURE_KINDS = ("pdf", "svg", "png", "eps")
"""Kinds of figure files."""
USUAL_KINDS = FIGURE_KINDS[:3]
"""Kinds of figure files that a report writes unless it is asked for others."""


def draw(study: Study) -> list[style.Drawing]:
    """Return all figures for which the study has data, first the most important one.

    They are drawn for the paper of the ``styled`` block around the call.
    """
    with style.styled():
        law = chains.measured_against_law(study)
        if law is None and (shown := _maps(study)):
            return shown
        drawn = (
            law,
            chains.effort_until_target(study),
            chains.releases_against_stale(study),
            axis.metric_against_axis(study),
            rounds.metric_over_rounds(study, study.score),
            run.samples(study),
            fates.used_and_left_out(study),
            rounds.shares_over_rounds(study),
            noise.noise_and_signal(study),
            run.heads_over_time(study),
            rounds.epsilon_over_rounds(study),
            rounds.metric_over_rounds(study, "loss" if study.score != "loss" else ""),
            run.time_per_round(study),
        )
    return _complete(study, drawn)


def _complete(study: Study, drawn: Iterable[style.Drawing | None]) -> list[style.Drawing]:
    """Return the figures that were drawn; the captions say what the study lacks."""
    lacks = partial_words(study)
    told = f" {lacks}." if lacks else ""
    return [replace(each, caption=each.caption + told) for each in drawn if each is not None]


def _maps(study: Study) -> list[style.Drawing]:
    """Return the figures with a cell for each point, which take the place of hundreds of curves."""
    made = maps.matrix(study), phases.phase_diagram(study), phases.breaking_lines(study)
    return _complete(study, made)
