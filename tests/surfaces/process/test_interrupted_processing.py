"""Processing that is interrupted or killed at any place, and goes on with the same bytes."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from failing_disk import Disk, here, in_memory
from fresh_processes import fresh_processes
from process_scans import KEEPS_LIGHT, SETTINGS, ball_scans, bytes_in, processed
from shared_data import PHOXI, beside_shared

from fedchain.errors import RunError
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.shipped import shipped_model
from fedchain.surfaces.process.processing import process_folder

pytest.importorskip("skimage")
pytest.importorskip("trimesh")

DENSER = replace(SETTINGS, upsample=4)
PROCESSES = fresh_processes()
IMAGES = 4
"""Moments, evenly over all writes, after which a killed command is tried."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Scans, the bytes of their results, and the folder as a kill at each write would leave it."""
    folder = ball_scans(tmp_path_factory.mktemp("scans"), (0, 90))
    with in_memory(tmp_path_factory.mktemp("disk")) as place:
        images: list[Path] = []

        def image() -> None:
            if (place / "out").exists():
                images.append(place / "images" / str(len(images)))
                shutil.copytree(place / "out", images[-1])

        with Disk(place / "out", image=image).mounted():
            processed(folder, place / "out", DENSER, KEEPS_LIGHT)
        yield folder, bytes_in(place / "out"), images


def _goes_on(whole, image: Path, place: Path) -> None:
    folder, undisturbed, _ = whole
    out = place / image.name
    shutil.copytree(image, out)
    assert not processed(folder, out, DENSER, KEEPS_LIGHT).failures
    assert bytes_in(out) == undisturbed, image.name


@pytest.mark.skipif(not here(), reason="needs the names of open files")
def test_a_command_that_was_killed_goes_on_with_the_same_bytes(whole, tmp_path):
    images = whole[2]
    assert any(".draft" in name for image in images for name in bytes_in(image))
    chosen = images[:: len(images) // IMAGES]
    # A kill within a write: the draft of each kind of file is left.
    halves = {}
    for image in images:
        for name in bytes_in(image):
            if name.endswith(".draft"):
                halves[name.rpartition("/")[0].partition("/")[0]] = image
    assert set(halves) == {"", "denser", "kept", "merged", "pictures", "surfaces"}
    for image in {*chosen, *halves.values()}:
        _goes_on(whole, image, tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not here(), reason="needs the names of open files")
def test_a_command_that_was_killed_at_any_write_goes_on_with_the_same_bytes(whole, tmp_path):
    for image in whole[2]:
        _goes_on(whole, image, tmp_path)


@pytest.mark.skipif(not here(), reason="needs the names of open files")
@pytest.mark.parametrize("how", ["half", "error"])
def test_a_disk_that_fails_ends_the_command_and_the_next_one_goes_on(whole, tmp_path, how):
    folder, undisturbed, images = whole
    for at in range(5, len(images), len(images) // 2):
        out = tmp_path / f"out-{at}"
        out.mkdir()
        disk = Disk(out, at=at, how=how)
        with disk.mounted(), contextlib.suppress(RunError):
            processed(folder, out, DENSER, KEEPS_LIGHT)
        assert disk.hit
        processed(folder, out, DENSER, KEEPS_LIGHT)
        assert bytes_in(out) == undisturbed


def test_an_interruption_at_each_stage_leaves_what_the_next_call_goes_on_with(whole, tmp_path):
    folder, undisturbed, _ = whole
    for at in ("filter scan_090", "merge merged", "draw scan_090"):

        def stop(_done, _all, now, at=at):
            if now == at:
                raise KeyboardInterrupt

        out = tmp_path / at.replace(" ", "-")
        with pytest.raises(KeyboardInterrupt):
            processed(folder, out, DENSER, KEEPS_LIGHT, progress=stop)
        assert (out / "processed.json").exists()
        assert not (out / "index.html").exists()
        done = processed(folder, out, DENSER, KEEPS_LIGHT)
        assert at == "filter scan_090" or done.before >= 2
        assert bytes_in(out) == undisturbed


def _process(folder: Path, reached, at: str, out: Path, settings) -> None:
    """Process a folder, and say when a piece of work begins."""

    def tell(_done, _all, now):
        if now.startswith(at):
            reached.set()

    process_folder(folder, read_model(shipped_model()), out, settings, progress=tell)


def _in_a_process(folder: Path, out: Path, settings, at: str = "", after_s: float | None = None):
    """Process a folder in a process of its own; kill it so long after a piece of work has begun.

    Return whether it came to its end.
    """
    reached = PROCESSES.Event()
    child = PROCESSES.Process(target=_process, args=(folder, reached, at, out, settings))
    child.start()
    assert reached.wait(1200)
    child.join(after_s)
    child.kill()
    child.join()
    return child.exitcode == 0


def _survives_three_kills(folder: Path, place: Path, settings) -> dict[str, bytes]:
    """Kill a process at three places, let a fourth go on, and return the bytes of the results."""
    for at, after_s in (("filter", 0.5), ("merge", 0.2), ("draw", 0.3)):
        assert not _in_a_process(folder, place / "killed", settings, at, after_s)
    assert _in_a_process(folder, place / "killed", settings)
    assert _in_a_process(folder, place / "whole", settings)
    whole = bytes_in(place / "whole")
    assert bytes_in(place / "killed") == whole
    return whole


@pytest.mark.long
def test_a_simulated_turntable_survives_three_kills(tmp_path):
    pytest.importorskip("small_gicp")
    list(simulate_folder(tmp_path / "scans", turntables=1, views=8, size=(96, 128)))
    settings = replace(DENSER, model="shipped", refine=True)
    whole = _survives_three_kills(tmp_path / "scans", tmp_path, settings)
    assert "surfaces/turntable_00/merged.ply" in whole


@pytest.mark.long
@beside_shared
def test_the_real_turntable_survives_three_kills_and_names_a_damaged_file(tmp_path):
    pytest.importorskip("small_gicp")
    folder = Path(shutil.copytree(PHOXI, tmp_path / "scans"))
    settings = replace(SETTINGS, model="shipped", refine=True, depth=8)
    whole = _survives_three_kills(folder, tmp_path, settings)
    assert sum(name.startswith("kept/") for name in whole) == 2 * 11
    data = (folder / "gpu_009.cogs").read_bytes()
    (folder / "gpu_009.cogs").write_bytes(data[: len(data) // 2])
    model = read_model(shipped_model())
    done = process_folder(folder, model, tmp_path / "damaged", settings)
    assert [(each.name, each.stage) for each in done.failures] == [("gpu_009", "filter")]
    assert done.failures[0].reason.startswith("gpu_009.cogs: ")
    written = bytes_in(tmp_path / "damaged")
    assert written.keys() == {name for name in whole if "gpu_009" not in name}
