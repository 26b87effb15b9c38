"""Plan of a sweep: how many points run at a time, and what is said about the time."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest
from test_points import scenario

from fedchain.errors import ScenarioError
from fedchain.sweeps import plan
from fedchain.sweeps.plan import Estimate, plan_of
from fedchain.sweeps.points import points_of

POINTS = points_of(scenario())


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of 4 cores and 8 GB, on which a point takes 10 s, 400 MB and 3 MB on disk."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8e9))
    monkeypatch.setattr(plan, "_estimate", lambda _: Estimate(10.0, 2.0, 400.0, 3.0))


def test_small_points_run_on_all_cores_side_by_side():
    assert len(POINTS) == 8
    assert plan_of(POINTS, None) == plan.Plan(4, 2.0 + 2 * 10.0, 8 * 3.0)
    assert plan_of(POINTS[:3], None) == plan.Plan(3, 2.0 + 10.0, 3 * 3.0)
    assert plan_of(POINTS[:1], None) == plan.Plan(1, 2.0 + 10.0, 3.0)


@pytest.mark.parametrize(
    "one",
    [Estimate(10.0, 2.0, 1100.0, 3.0), Estimate(0.9, 2.0, 400.0, 3.0)],
    ids=["large", "short"],
)
def test_large_points_and_short_sweeps_stay_in_one_process(monkeypatch, one):
    monkeypatch.setattr(plan, "_estimate", lambda _: one)
    assert plan_of(POINTS, None) == plan.Plan(1, 2.0 + 8 * one.seconds, 8 * 3.0)


def test_points_of_an_engine_of_processes_run_one_after_the_other():
    points = points_of(scenario(engine={"kind": "processes"}))
    assert plan_of(points, None).workers == 1


def test_a_given_number_of_workers_is_kept():
    assert plan_of(POINTS, 2) == plan.Plan(2, 2.0 + 4 * 10.0, 8 * 3.0)


def test_one_point_of_each_size_is_tried(monkeypatch):
    tried = []
    monkeypatch.setattr(
        plan, "_estimate", lambda s: tried.append(s.rounds) or Estimate(s.rounds, 0.0, 1.0, 3.0)
    )
    assert plan_of(POINTS, 1).seconds == 8 * 2.5
    assert tried == [2, 3]  # rounds, but neither seed nor epsilon


def test_a_point_that_cannot_be_tried_leaves_the_words_to_its_run(monkeypatch):
    def refuse(_):
        raise ScenarioError([], "no")

    monkeypatch.setattr(plan, "_estimate", refuse)
    assert plan_of(POINTS, None) == plan.Plan(1, None, None)
    assert plan_of([], None) == plan.Plan(1, 0.0, 0.0)
