"""Settings of the calling process: a run sets its own, puts them back, or refuses by name."""

from __future__ import annotations

import contextlib
import operator
import os

import numpy as np
import pytest
import torch
from small_runs import small

from fedchain.errors import RunRefused
from fedchain.machine import PRECISIONS, ROUNDING, exact_arithmetic, prepare
from fedchain.runs.running import run

NEW_FORM = hasattr(torch.backends, "fp32_precision")
"""Whether this torch has a precision for each library."""


@contextlib.contextmanager
def rough_process():
    """Change everything that a program may change and that changes results."""
    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    before = np.seterr(all="raise")
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            yield
    finally:
        np.seterr(**before)
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")


def settings() -> dict[str, object]:
    """Return the settings of this process that change results."""
    new = {p: operator.attrgetter(p)(torch.backends).fp32_precision for p in PRECISIONS if NEW_FORM}
    if not NEW_FORM:  # the new form may not be mixed with this one
        new = {"products": torch.get_float32_matmul_precision()}
    return {
        **new,
        "dtype": torch.get_default_dtype(),
        "device": torch.empty(0).device,
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "errors": np.geterr(),
    }


def test_a_run_sets_what_it_needs_and_puts_everything_back():
    torch.set_float32_matmul_precision("highest")  # as the default, but said for each library
    usual = settings()
    with rough_process():
        before = settings()
        with exact_arithmetic():
            inside = settings()
        assert settings() == before
    assert settings() == usual
    names = ("dtype", "device", "gradients", "inference", "autocast")
    expected = (torch.float32, torch.device("cpu"), True, False, False)
    assert tuple(inside[name] for name in names) == expected
    assert {inside[name] for name in PRECISIONS if NEW_FORM} <= {"ieee"}


@pytest.mark.skipif(not NEW_FORM, reason="this torch has one setting for all libraries")
def test_a_precision_of_one_library_is_set_and_put_back_too():
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        with exact_arithmetic():
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_an_error_puts_everything_back_too():
    with rough_process():
        before = settings()
        with pytest.raises(KeyError), exact_arithmetic():
            raise KeyError
        assert settings() == before


def test_the_last_of_several_threads_puts_everything_back():
    torch.set_default_dtype(torch.float64)
    try:
        first, second = exact_arithmetic(), exact_arithmetic()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float32  # the second still computes
        second.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("engine", ["threads", pytest.param("processes", marks=pytest.mark.long)])
def test_a_run_ends_with_the_same_head_whatever_its_process_has_set(engine, tmp_path):
    scenario = small(2, **{"nodes.holders": 3, "aggregation.keep": 2, "attacks": []})
    plain = run(scenario, tmp_path / "plain", workers=1)
    with rough_process():
        rough = run(scenario, tmp_path / "rough", workers=1, engine=engine)
    assert rough.manifest["head"] == plain.manifest["head"]
    assert rough.manifest["arithmetic"] == plain.manifest["arithmetic"]
    assert plain.manifest["arithmetic"]["products"] == "float32"
    assert plain.manifest["arithmetic"]["default_dtype"] == "float32"


@pytest.mark.parametrize("name", ROUNDING)
def test_a_variable_that_no_program_can_undo_is_refused_by_name_before_anything_is_made(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv(name, "BF16")
    with pytest.raises(RunRefused, match=f"{name}: is BF16, .*allowed: {ROUNDING[name]}, or unset"):
        run(small(2), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv(name, ROUNDING[name].lower())
    with exact_arithmetic():
        pass


def test_the_command_line_draws_without_a_screen_whatever_a_notebook_has_set(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    prepare()
    assert os.environ["MPLBACKEND"] == "agg"
