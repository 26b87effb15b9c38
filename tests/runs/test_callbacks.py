"""Callbacks of a run: what they are told, and what a run is that one of them has stopped."""

from __future__ import annotations

import numpy as np
import pytest
from small_runs import forking, small

from fedchain import report, resume, run
from fedchain.checks import verify
from fedchain.checks.verdict import FAILED, OK, UNCHECKED
from fedchain.commands.terminal import closing_lines
from fedchain.errors import RunRefused
from fedchain.results import Run
from fedchain.runs.callbacks import Callback
from fedchain.sweeps.sweep import sweep


class Listening(Callback):
    def __init__(self, stop_at=0, reason="enough"):
        self.told, self.weights = [], {}
        self.stop_at, self.reason = stop_at, reason

    def on_run_begin(self, folder, setup):
        self.told.append(("begin", folder.name))

    def on_round_end(self, ended):
        self.told.append(("round", ended.record.round))
        self.weights[ended.record.round] = ended.weights()
        return self.reason if ended.record.round == self.stop_at else None

    def on_run_end(self, run):
        self.told.append(("end", run.manifest["status"]))


def results(found):
    return {each.what: each.result for each in found.checks}


def test_callbacks_are_told_of_begin_rounds_and_end_with_the_weights_of_each_round(tmp_path):
    first, second = Listening(), Listening()
    done = run(small(3), tmp_path, callbacks=[first, second])
    rounds = [("round", number) for number in (1, 2, 3)]
    assert first.told == [("begin", done.folder.name), *rounds, ("end", "finished")]
    assert second.told == first.told
    assert len({weights.tobytes() for weights in first.weights.values()}) == 3
    for number, weights in first.weights.items():
        np.testing.assert_array_equal(weights, done.weights(number))
        assert not weights.flags.writeable


def test_a_run_that_is_found_again_calls_no_callback(tmp_path):
    run(small(1), tmp_path)
    listening = Listening()
    run(small(1), tmp_path, callbacks=[listening])
    assert listening.told == []


def test_an_error_ends_the_run_and_the_callbacks_are_told_that_it_failed(tmp_path):
    class Failing(Callback):
        def on_round_end(self, ended):
            raise ArithmeticError("as asked")

    listening = Listening()
    with pytest.raises(ArithmeticError, match="as asked"):
        run(small(2), tmp_path, callbacks=[listening, Failing()])
    assert listening.told[-1] == ("end", "failed")


@pytest.mark.parametrize("made", [small, forking])
def test_a_reason_stops_a_run_that_is_reported_verified_and_goes_on_to_the_same_head(
    made, tmp_path
):
    whole = run(made(8), tmp_path / "whole")
    stopped = run(made(8), tmp_path / "stopped", callbacks=[Listening(3, "loss is flat")])
    manifest = stopped.manifest
    assert (manifest["status"], manifest["stopped"]["reason"]) == ("stopped", "loss is flat")
    assert 3 <= manifest["height"] < 8
    blocks = [row["block"] for row in stopped.metrics]
    assert blocks == [row["block"] for row in whole.metrics][: len(blocks)]
    assert stopped.summary()["stopped"]["reason"] == "loss is flat"
    assert "status    stopped (loss is flat), " in "\n".join(
        map(str, closing_lines(stopped.summary()))
    )
    assert (stopped.folder / "privacy.json").is_file()
    assert report([stopped.folder], figures=(), tables=("csv",))
    found = verify(stopped.folder, replay=True)
    assert found.ok, found.reason
    seen = results(found)
    assert [what for what, result in seen.items() if result == FAILED] == []
    assert (seen["rounds"], seen["events"], seen["manifest"]) == (UNCHECKED, OK, OK)
    assert seen["privacy"] == OK
    resumed = resume(stopped.folder)
    assert resumed.manifest["head"] == whole.manifest["head"]
    assert (resumed.manifest["status"], resumed.manifest["stopped"]) == ("finished", None)
    assert (resumed.folder / "privacy.json").read_text() == (
        whole.folder / "privacy.json"
    ).read_text()
    report([stopped.folder], figures=(), tables=("csv",))
    assert verify(stopped.folder).ok


def test_a_stopped_run_is_found_again_and_the_line_says_how_it_goes_on(tmp_path, caplog):
    done = run(small(6), tmp_path, callbacks=[Listening(2)])
    with caplog.at_level("WARNING", "fedchain"):
        again = run(small(6), tmp_path)
    assert again.manifest == done.manifest
    assert "stopped on" in caplog.text
    assert "nothing was run; it ended at round 3 of 6 (enough): fedchain resume" in caplog.text


def test_a_reason_in_the_last_round_leaves_a_finished_run(tmp_path):
    for last in (2, 3):  # the last block is made while the round before it is measured
        done = run(small(3), tmp_path / str(last), callbacks=[Listening(last)])
        assert (done.manifest["status"], done.manifest["stopped"]) == ("finished", None)


def test_blocks_cut_off_a_stopped_run_are_missed(tmp_path):
    done = run(small(6), tmp_path, callbacks=[Listening(4)])
    events = (done.folder / "events.ndjson").read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(events) if '"event": "round"' in line)
    (done.folder / "events.ndjson").write_text("".join(events[:last]))
    assert not verify(done.folder).ok


def test_a_point_of_a_sweep_that_was_stopped_goes_on(tmp_path):
    scenario = small(4, sweep={"grid": {}, "seeds": 1})
    first = sweep(scenario, tmp_path)
    place = first.folder / "runs"
    run(scenario.model_copy(update={"sweep": None}), place, force=True, callbacks=[Listening(1)])
    (folder,) = place.glob("small-*")
    assert Run.open(folder).manifest["status"] == "stopped"
    assert [row["status"] for row in sweep(scenario, tmp_path).rows] == ["finished"]


def test_a_folder_that_another_process_uses_ends_no_callback(tmp_path):
    listening = Listening()

    class Intruding(Callback):
        def on_run_begin(self, folder, setup):
            with pytest.raises(RunRefused, match="another process"):
                resume(folder, callbacks=[listening])

    run(small(1), tmp_path, callbacks=[Intruding()])
    assert listening.told == []
