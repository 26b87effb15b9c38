"""The kernels are optional: a process without them says so, and how to get them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from small_runs import small

from fedchain import run
from fedchain.errors import RunRefused
from fedchain.native import loading
from fedchain.native.loading import absence, library
from fedchain.results import Run
from fedchain.results.folder import RunFolder
from fedchain.runs import preparation
from fedchain.runs.preparation import prepare_again

SCANS = {
    "task": {
        "kind": "scan_segmentation",
        "size": 16,
        "records_per_holder": 2,
        "held_out": 4,
        "model": {"kind": "gajdosech_unet", "levels": 1, "width": 2, "norm": "group"},
    },
    "nodes.holders": 3,
    "aggregation.keep": 2,
    "attacks": [],
}


@pytest.fixture
def fresh():
    """Choose the kernels anew, before and after a test."""
    library.cache_clear()
    yield
    library.cache_clear()


def test_the_switch_turns_the_kernels_off_and_the_reason_is_said(fresh, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_NATIVE", "0")
    assert library() is None
    assert "switched off by FEDCHAIN_NATIVE=0" in absence()
    assert "unset it" in absence()


def test_without_a_compiler_the_reason_says_how_to_get_the_kernels(fresh, monkeypatch, tmp_path):
    monkeypatch.delenv("FEDCHAIN_NATIVE", raising=False)
    monkeypatch.setattr(loading, "HERE", tmp_path)
    assert library() is None
    assert absence().endswith("install GCC or clang, then install fedchain again")


def test_kernels_of_other_sources_are_not_used_and_the_reason_says_so(fresh, monkeypatch):
    if loading._file_of("base") is None:
        pytest.skip("the kernels are not compiled here")
    monkeypatch.delenv("FEDCHAIN_NATIVE", raising=False)
    monkeypatch.setattr(loading, "VERSION", loading.VERSION + 1)
    assert library() is None
    assert "they are of other sources" in absence()
    assert absence().endswith("install fedchain again")


def test_a_build_that_is_not_installed_is_refused_with_those_that_are(fresh, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_NATIVE", "sse9")
    with pytest.raises(RunRefused, match=r"FEDCHAIN_NATIVE: is sse9, .*allowed: 0 for none"):
        library()


def test_a_refused_build_is_one_line_of_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fedchain", "run", "breast_cancer"],
        env={**os.environ, "FEDCHAIN_NATIVE": "sse9"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("FEDCHAIN_NATIVE: is sse9")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")
def test_the_best_build_for_the_processor_is_chosen(fresh, monkeypatch):
    monkeypatch.delenv("FEDCHAIN_NATIVE", raising=False)
    level = loading._open("base").level()
    assert library().build == loading.BUILDS[level]


def begun(scenario, folder, kernels):
    """Return a run that was interrupted, and whose manifest states some kernels."""
    found = run(scenario, folder, workers=1)
    arithmetic = {**found.manifest["arithmetic"], "kernels": kernels}
    changed = {**found.manifest, "status": "interrupted", "arithmetic": arithmetic}
    RunFolder(found.folder).write_manifest(changed)
    return Run.open(found.folder)


@pytest.mark.parametrize(
    ("here", "there", "words"),
    [
        ("none", "compiled", "began with compiled kernels, and would end at another block without"),
        ("compiled", "none", r"began without compiled kernels, .* set FEDCHAIN_NATIVE=0"),
    ],
)
def test_a_run_does_not_go_on_by_another_road(here, there, words, tmp_path, monkeypatch):
    found = begun(small(2, **SCANS), tmp_path, there)
    monkeypatch.setattr(preparation, "arithmetic", lambda: {"kernels": here})
    monkeypatch.setattr(preparation, "absence", lambda: "they are not compiled")
    with pytest.raises(RunRefused, match=words):
        prepare_again(found, workers=1)


@pytest.mark.parametrize("here", ["compiled", "none"])
def test_a_dense_model_goes_on_with_and_without_kernels(here, tmp_path, monkeypatch):
    dense = small(2, **{"nodes.holders": 3, "aggregation.keep": 2, "attacks": []})
    found = begun(dense, tmp_path, "none")
    monkeypatch.setattr(preparation, "arithmetic", lambda: {"kernels": here})
    assert prepare_again(found, workers=1).folder == found.folder
