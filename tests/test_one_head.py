"""A run on scans ends at one head, which stands here, on every processor with kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fedchain.native.loading import BUILDS, library

pytestmark = pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")

PROGRAM = """
import sys, tempfile
from fedchain import load, run
rounds, records, workers = map(int, sys.argv[1:])
few = {"task.records_per_holder": records, "task.held_out": 20}
flips = [{"kind": "sign_flip", "holders": [9, 14], "from_round": 6}]
scenario = load("first_light", set={"rounds": rounds, "attacks": flips, **few})
with tempfile.TemporaryDirectory() as folder:
    print(run(scenario, folder, workers=workers).manifest["head"])
"""
FEW = ("12", "20"), "00004ba5e2624de5a1bcd482a829e3f7874313426d3010afc32041d5c628d872"
"""Rounds and records of a holder, and the head."""
MANY = ("12", "200"), "00030c80a04eec7c6ba63512d6734a7ab78be598f958baf7a0db173d1221e0d0"


def head(asked, build, workers):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *asked, str(workers)],
        env={**os.environ, "FEDCHAIN_NATIVE": build},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("build", [pytest.param("base", marks=pytest.mark.long), *BUILDS[1:]])
def test_every_build_ends_at_the_same_head(build):
    if BUILDS.index(build) > BUILDS.index(library().build):
        pytest.skip("this processor cannot run the build")
    asked, wanted = FEW
    assert head(asked, build, 2) == wanted


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("build", BUILDS)
def test_twelve_rounds_of_first_light_end_at_one_head(build, workers):
    if BUILDS.index(build) > BUILDS.index(library().build):
        pytest.skip("this processor cannot run the build")
    asked, wanted = MANY
    assert head(asked, build, workers) == wanted
