"""The kernels touch no byte that is not theirs, and do nothing that C leaves undefined."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedchain.native import loading
from fedchain.native.loading import library

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(library() is None, reason="the kernels are not compiled here"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="GCC is absent"),
]
FLAGS = ("-std=c11", "-O1", "-g", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
SANITISERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
BUILDS = {
    "base": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
}
PROGRAM = """
import sys, types
from pathlib import Path
from fedchain.native import loading
loading.HERE = Path(sys.argv[1])
loading.library.cache_clear()
import numpy as np, torch
from fedchain.aggregation import Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.plan import plane_plan
from fedchain.native.planes import PlaneGradients
from fedchain.randomness import digest, laplaces, normals
from fedchain.transforms import add_gradients, lengths
from fedchain.scans.losses import bce, dice, focal
from fedchain.scans.models.gajdosech_unet import UNet

random = np.random.default_rng(0)
for turn in range(40):
    count = int(random.integers(0, 70))
    keys = [digest(0, turn, k) for k in range(3)]
    drawn = normals(keys, count)
    laplaces(keys, count)
    add_gradients(drawn, [0.5] * 3, random.standard_normal((3, count)))
    lengths(drawn)
    storage = ["int8", "int16", "int32"][turn % 3]
    rows, columns = int(random.integers(3, 40)), int(random.integers(1, 5000))
    integers = tuple(random.integers(-100, 100, columns).astype(storage) for _ in range(rows))
    given = Received(Directions(integers, (18,) * rows), np.ones(rows), np.ones(rows))
    for rule in ({"kind": "l_nearest", "keep": 2}, {"kind": "mean"}, {"kind": "median"}):
        aggregations.build(aggregations.check(rule), given)
    sizes = [int(size) for size in random.integers(1, 7, random.integers(1, 4))]
    times = 2 ** (len(sizes) - 1)
    shape = tuple(int(side) for side in random.integers(1, [4, 4, 6]) * [1, times, times])
    module = UNet(shape[0], sizes, 1, norm=["none", "group"][turn % 2])
    loss = [dice(), focal(), bce()][turn % 3]
    planes = PlaneGradients(loading.library(), plane_plan(module, loss, shape))
    examples = int(random.integers(1, 40))
    inputs = random.standard_normal((examples, *shape)).astype(np.float32)
    targets = (random.random((examples, *shape[1:])) > 0.5).astype(np.float32)
    batch = flat_weights(module).astype(np.float32), inputs, targets
    planes.each(*batch)
    planes.clipped_sums(*batch, [examples // 3, examples - examples // 3], clip=0.1)
print(loading.library().build)
"""


@pytest.mark.parametrize("build", BUILDS)
def test_sanitisers_find_nothing_over_random_shapes(build, tmp_path):
    if loading.BUILDS.index(build) > loading.BUILDS.index(library().build):
        pytest.skip("this processor cannot run the build")
    sources = sorted(str(path) for path in Path(loading.__file__).parent.glob("*.c"))
    made = tmp_path / f"{build}.so"
    command = ["gcc", *FLAGS, *SANITISERS, *BUILDS[build], *sources, "-o", str(made), "-lm"]
    subprocess.run(command, check=True)
    if build != "base":  # which says what the processor can run
        shutil.copy(made, tmp_path / "base.so")
    libraries = [
        subprocess.run(
            ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={
            **os.environ,
            "FEDCHAIN_NATIVE": build,
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter frees little at its end
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() == build
