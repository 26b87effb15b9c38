"""Values of a run folder that no run writes are refused with file, place and allowed type."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path

import pytest
from command_line import call
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import spending

from fedchain.errors import RunRefused
from fedchain.results import Run
from fedchain.results.shapes import RECORDS, ManifestShape, event_flaw, manifest_flaw
from fedchain.runs.running import run

OTHERS = [None, True, -7, 0.5, math.inf, "x", [], [3], {}, {"nodes": 3}]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Run:
    """A run with messages, rounds and refusals."""
    return run(spending(3), tmp_path_factory.mktemp("runs"))


def changed(folder: Path, **values: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, **values}), "utf-8")


def test_a_run_writes_the_keys_whose_types_are_checked(done):
    written = set(done.manifest)
    assert written >= set(ManifestShape.model_fields)
    assert written - set(ManifestShape.model_fields) == {
        "format", "description", "secret", "arithmetic", "weights",
    }  # fmt: skip
    assert manifest_flaw(done.manifest) is None


@pytest.mark.parametrize("key", ManifestShape.model_fields)
def test_a_value_of_another_type_is_refused_by_its_key(key, done):
    wrong = [7, "x", [[]]]
    flaws = [manifest_flaw({**done.manifest, key: value}) for value in wrong]
    assert any(flaw is not None and flaw.startswith(key) for flaw in flaws), flaws


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seconds": {"total": "long"}}, "seconds.total: must be a number, got 'long'"),
        ({"chain": {"nodes": [{"node": -1}]}}, "chain.nodes: must be at least 0, got -1"),
        ({"scenario": {"attacks": {}}}, "scenario.attacks: must be a list"),
        ({"epsilon": {"total": 1.0}}, "epsilon.per_release: is missing"),
    ],
)
def test_a_command_says_which_value_is_wrong(values, words, done, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "manifest.json").write_text(json.dumps({**done.manifest, **values}), "utf-8")
    with pytest.raises(RunRefused, match=rf"manifest\.json: {words}"):
        Run.open(copy)
    told = call("inspect", copy)
    assert (told.code, told.err.count("\n")) == (2, 1), told


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_of_an_event_is_checked(kind, done):
    event = next((e for e in done.events if e["event"] == kind), None)
    if event is None:  # this run has none
        event = {
            "event": kind,
            **{f.name: 0 if "int" in f.type else "" for f in fields(RECORDS[kind])},
        }
        event |= {"time_s": 0.5} if "time_s" in event else {}
    assert event_flaw(event) is None
    for field in fields(RECORDS[kind]):
        found = event_flaw({**event, field.name: [["x"]]})
        assert found is not None
        assert found.startswith(f"{field.name}: must be")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_changed_in_an_event_is_refused_or_read_without_a_traceback(done, data):
    at = data.draw(st.integers(0, len(done.events) - 1))
    event = dict(done.events[at])
    event[data.draw(st.sampled_from(sorted(event)))] = data.draw(st.sampled_from(OTHERS))
    flaw = event_flaw(event)
    assert flaw is None or ": must be" in flaw or ": is missing" in flaw
