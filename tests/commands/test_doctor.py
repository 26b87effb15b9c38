import errno
import json
import os
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from command_line import call

from fedchain.commands import doctor
from fedchain.commands.doctor import examined
from fedchain.forecasts import rates
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
    monkeypatch.setattr(doctor, "LEAST_DISK", 1e18)
    monkeypatch.setattr(rates, "measured", pytest.fail)
    told = call("doctor", "--calibrate", "--out", tmp_path, "--format", "plain")
    assert told.code == 1
    assert "MISSING" in told.out
    assert "make room" in told.out


def test_what_was_measured_is_what_explain_goes_by(tmp_path, monkeypatch):
    before = json.loads(call("explain", SMALL, "--format", "json").out)
    slow = ROUGH.model_copy(update={"round": 10.0})
    monkeypatch.setattr(rates, "measured", lambda: slow)
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
    missing = [doctor.Check("ray", "note", words)]
    monkeypatch.setattr(doctor, "examined", lambda _: missing)
    assert words in call("doctor", "--out", tmp_path).out


def states(runs):
    return {finding.what: finding for finding in examined(runs)}


def test_where_the_tests_run_nothing_is_missing(tmp_path):
    found = states(tmp_path / "runs")
    assert {finding.state for finding in found.values()} <= {"ok", "note"}
    assert not (tmp_path / "runs").exists()


def test_a_package_that_is_too_old_or_missing_is_named_with_its_remedy(monkeypatch, tmp_path):
    def version(name):
        if name == "opacus":
            raise metadata.PackageNotFoundError
        return "1.0" if name == "torch" else "99.0"

    monkeypatch.setattr(doctor.metadata, "version", version)
    wrong = [f.words for f in examined(tmp_path) if f.what == "packages"]
    assert any(w.startswith("torch is 1.0, must be <2.14,>=2.6; install with: pip") for w in wrong)
    assert any(w.startswith("opacus is not installed; install with: pip install") for w in wrong)


def test_a_folder_that_cannot_be_written_is_missing(monkeypatch, tmp_path):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    found = states(tmp_path / "deep" / "runs")["runs"]
    assert found.state == "missing"
    assert found.words.startswith(f"{tmp_path} cannot be written: Read-only file system")


def test_a_file_in_the_place_of_the_runs_is_missing(tmp_path):
    (tmp_path / "runs").write_text("")
    assert states(tmp_path / "runs")["runs"].state == "missing"


def test_a_full_disk_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "LEAST_DISK", 1e18)
    assert states(tmp_path)["disk"].state == "missing"


def test_the_cache_is_told_of_with_its_bound_and_a_wrong_bound_is_missing(monkeypatch, tmp_path):
    found = states(tmp_path)["cache"]
    assert (found.state, found.words.split(";")[0]) == (
        "ok",
        f"0 B of at most 1 GB in {tmp_path / 'cache'}",
    )
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = states(tmp_path)["cache"]
    assert found.state == "note"
    assert "cannot be written: every run makes its scans again" in found.words
    monkeypatch.setenv("FEDCHAIN_CACHE_BYTES", "1GB")
    assert states(tmp_path)["cache"].state == "missing"


def test_fewer_cores_than_there_are_is_a_note(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 3)
    found = states(tmp_path)["cores"]
    assert found.state == "note"
    assert "run with --workers 3" in found.words
