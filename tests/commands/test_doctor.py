import json
from pathlib import Path

import pytest
from command_line import call

from fedchain.commands import checkup
from fedchain.forecasts import calibration
from fedchain.forecasts.rates import ROUGH

SMALL = Path(__file__).parents[2] / "scenarios" / "breast_cancer.yaml"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))


def test_the_doctor_finds_everything_in_order(tmp_path):
    told = call("doctor", "--out", tmp_path, "--format", "json")
    found = json.loads(told.out)
    assert (told.code, told.err, found["ok"], found["rates"]) == (0, "", True, None)
    assert {"Python", "packages", "cores", "disk", "runs", "rates"} <= {
        finding["what"] for finding in found["findings"]
    }


def test_something_missing_is_exit_1_and_nothing_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(checkup, "LEAST_DISK", 1e18)
    monkeypatch.setattr(calibration, "measured", pytest.fail)
    told = call("doctor", "--calibrate", "--out", tmp_path, "--format", "plain")
    assert told.code == 1
    assert "MISSING" in told.out
    assert "make room" in told.out


def test_what_was_measured_is_what_explain_goes_by(tmp_path, monkeypatch):
    before = json.loads(call("explain", SMALL, "--format", "json").out)
    slow = ROUGH.model_copy(update={"round": 10.0})
    monkeypatch.setattr(calibration, "measured", lambda: slow)
    told = call("doctor", "--calibrate", "--out", tmp_path, "--format", "plain")
    assert told.code == 0
    assert "everything else of a round" in told.out
    after = json.loads(call("explain", SMALL, "--format", "json").out)
    assert (before["round"]["calibrated"], after["round"]["calibrated"]) == (False, True)
    assert after["estimates"]["seconds"] > 390
    assert before["estimates"]["seconds"] < 60
    assert "nearer after" not in call("explain", SMALL, "--format", "plain").out


def test_an_extra_is_named_as_pip_takes_it(monkeypatch, tmp_path):
    words = "install it with: pip install 'fedchain[ray]'"
    missing = [checkup.Check("ray", "note", words)]
    monkeypatch.setattr(checkup, "examined", lambda _: missing)
    assert words in call("doctor", "--out", tmp_path).out
