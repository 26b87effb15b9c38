import dataclasses
import hashlib
import itertools

import numpy as np
import pytest

from fedchain.errors import DataError
from fedchain.scans.formats import read_scan
from fedchain.scans.scan import FLYING, GHOST, NONE, OBJECT, TABLE, TABLE_CROP_M
from fedchain.scans.simulator.capture import LARGEST_ERROR_M, Scanner, capture_stage
from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.simulator.objects import OBJECTS, compose
from fedchain.scans.simulator.parts import Composed, Material, SolidPart
from fedchain.scans.simulator.stage import Stage, meet, surroundings
from fedchain.scans.simulator.stations import draw_materials, station_of
from fedchain.scans.simulator.turntables import (
    camera_at,
    draw_stage,
    moved_slightly,
    simulate_turntable,
)

GREY = Material(albedo=0.6)
SHINY = Material(albedo=0.6, gloss=0.6)
BOX = SolidPart(centre=(0.01, 0.02, 0.0), half=(0.03, 0.02, 0.01), material=GREY)
PIPES = [
    SolidPart(centre=(0.0, 0.03, 0.01), half=half, material=GREY, axis=axis)
    for axis, half in enumerate([(0.04, 0.01, 0.01), (0.01, 0.04, 0.01), (0.01, 0.01, 0.04)])
]


def rays_from_around(count, seed=0):
    random = np.random.default_rng(seed)
    origin = random.normal(0, 0.02, (3, count)) + np.array([[0.1], [0.25], [0.2]])
    direction = random.normal(0, 0.03, (3, count)) - origin
    direction /= np.sqrt((direction**2).sum(axis=0))
    return origin.astype(np.float32), direction.astype(np.float32)


def inside(part, points, margin=0.0):
    away = np.abs(points - np.array(part.centre)[:, None])
    half = np.array(part.half)[:, None] + margin
    if part.axis is None:
        return (away < half).all(axis=0)
    across = [axis for axis in range(3) if axis != part.axis]
    return (away[part.axis] < half[part.axis]) & (np.hypot(*away[across]) < half[across[0], 0])


def turntable(number=0, size=(48, 64), views=4, **changes):
    station = station_of(0, number, *size)
    return list(
        simulate_turntable(dataclasses.replace(station, **changes), 0, ("t", number), views=views)
    )


@pytest.mark.parametrize("part", [BOX, *PIPES], ids=["box", "x", "y", "z"])
def test_rays_meet_a_part_where_fine_steps_enter_it(part):
    origin, direction = rays_from_around(2000)
    met = Composed((part,)).meet(origin, direction)
    hit = np.isfinite(met.distance)
    entered = np.full(2000, np.inf)
    for t in np.arange(0.5, 0.1, -2e-4):
        entered[inside(part, origin + t * direction)] = t
    assert 200 < hit.sum() < 1900
    assert (np.isfinite(entered) & ~hit).sum() == 0
    both = np.isfinite(entered) & hit
    assert np.abs(entered[both] - met.distance[both]).max() < 4e-4
    points = (origin[:, hit] + met.distance[hit] * direction[:, hit]).astype(np.float64)
    normals = met.normals[:, hit].astype(np.float64)
    assert inside(part, points - 1e-4 * normals, 1e-6).mean() > 0.99
    assert inside(part, points + 1e-4 * normals, -1e-6).mean() < 0.01
    assert np.allclose((normals**2).sum(axis=0), 1, atol=1e-5)


def test_of_several_parts_a_ray_meets_the_nearest():
    origin, direction = rays_from_around(1500)
    each = [Composed((part,)).meet(origin, direction).distance for part in (BOX, *PIPES)]
    met = Composed((BOX, *PIPES)).meet(origin, direction)
    assert (met.distance == np.min(each, axis=0)).all()
    hit = np.isfinite(met.distance)
    assert (np.argmin(each, axis=0) == met.part)[hit].all()
    assert set(met.part[hit]) == {0, 1, 2, 3}


def test_rays_that_start_between_two_fins_meet_the_one_ahead():
    fins = [
        SolidPart(centre=(x, 0.0, 0.0), half=(0.001, 0.01, 0.01), material=GREY)
        for x in (-0.005, 0.005)
    ]
    start, ahead = np.zeros((3, 2), np.float32), np.array([[1, -1], [0, 0], [0, 0]], np.float32)
    met = Composed(tuple(fins)).meet(start, ahead)
    assert np.allclose(met.distance, 0.004)
    assert met.part.tolist() == [1, 0]
    assert met.normals[0].tolist() == [-1, 1]


def test_a_mesh_of_a_box_is_met_as_the_box_is(tmp_path):
    pytest.importorskip("embreex")
    import trimesh

    from fedchain.scans.simulator.meshes import read_solid

    trimesh.creation.box((20, 60, 40)).export(tmp_path / "box.stl")
    solid = read_solid(tmp_path / "box.stl", length=0.06, up=0)  # x of the file points up
    low, high = np.array(solid.bounds)
    assert np.allclose(low, (-0.02, 0, -0.03), atol=1e-6)
    assert np.allclose(high, (0.02, 0.02, 0.03), atol=1e-6)
    box = Composed((SolidPart(centre=(0, 0.01, 0), half=(0.02, 0.01, 0.03), material=GREY),))
    rays = rays_from_around(2000)
    one, other = solid.meet(*rays), box.meet(*rays)
    hit = np.isfinite(one.distance)
    assert (hit == np.isfinite(other.distance)).mean() > 0.998
    both = hit & np.isfinite(other.distance)
    assert np.abs(one.distance[both] - other.distance[both]).max() < 1e-6
    assert (np.abs(one.normals - other.normals)[:, both].max(axis=0) < 1e-5).mean() > 0.998


def test_a_mesh_longer_than_a_turntable_is_refused_with_its_length(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    from fedchain.scans.simulator.meshes import read_solid

    trimesh.creation.box((20, 60, 40)).export(tmp_path / "box.stl")
    with pytest.raises(DataError, match=r"box\.stl: is 60 m long; allowed: 0\.005 to 1 m"):
        read_solid(tmp_path / "box.stl")


@pytest.mark.parametrize("family", OBJECTS)
def test_objects_of_every_family_rest_on_the_turntable_around_its_middle(family):
    station = station_of(0, 0)
    for k in range(5):
        random = np.random.default_rng(k)
        low, high = np.array(compose(family, random, draw_materials(station, random)).bounds)
        assert abs(low[1]) < 1e-9
        assert np.allclose(low + high, [0, high[1], 0], atol=1e-9)
        assert 0.03 < (high - low).max() < 0.3


def test_spots_of_a_surface_stay_where_they_are_from_every_side():
    station = station_of(0, 0)
    stage = draw_stage(station, np.random.default_rng(0), None)
    origin, direction = rays_from_around(500)
    one = meet(stage, origin, direction)
    back = (origin + np.float32(0.5) * (one.points - origin)).astype(np.float32)
    other = meet(stage, back, direction)
    same = (np.abs(one.points - other.points).max(axis=0) < 1e-6) & (one.kind == OBJECT)
    assert same.sum() > 100
    assert (one.albedo == other.albedo)[same].mean() > 0.99
    assert len(np.unique(one.albedo[same])) > 20


def test_stored_cameras_project_points_onto_their_own_pixels():
    for view in turntable():
        pixels, _ = view.scan.view.project(view.scan.positions)
        rows, columns = np.indices(view.scan.valid.shape)
        off = np.abs(pixels - np.stack([columns, rows], axis=-1))[view.scan.valid]
        assert len(off) > 20
        assert off.max() < 1e-3


def test_stored_poses_are_off_by_4_to_12_tenths_of_a_millimetre_at_the_object():
    camera = camera_at(Scanner(), 0.7, 1.0, np.array([0, 0.01, 0]))
    random, middle = np.random.default_rng(0), np.array([0.0, 0.01, 0])
    errors = []
    for _ in range(100):
        stored = moved_slightly(camera, random, middle)
        shift = stored.position + 0.55 * stored.basis[2] - middle
        errors.append(np.sqrt(shift @ shift))
        assert np.abs(stored.basis @ stored.basis.T - np.eye(3)).max() < 1e-12
        assert 0 < np.abs(stored.basis - camera.basis).max() < 3 * 0.002
    assert 0.0003999 < min(errors) < 0.00045
    assert 0.00115 < max(errors) < 0.0012001


def test_cameras_take_turns_on_two_rings_in_steps_of_45_degrees():
    views = turntable(size=(16, 16), views=6)
    assert [(view.ring, view.angle) for view in views] == [
        (0, 0), (1, 0), (0, 45), (1, 45), (0, 90), (1, 90),
    ]  # fmt: skip
    for one, other in itertools.pairwise(views[::2]):
        flat = [view.camera.basis[2][[0, 2]] for view in (one, other)]
        cosine = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
        assert abs(np.degrees(np.arccos(cosine)) - 45) < 1e-6
        assert abs(one.camera.basis[2][1] - other.camera.basis[2][1]) < 1e-12
    assert np.isclose(-views[0].camera.basis[2][1], np.sin(station_of(0, 0).rings[0]))


@pytest.mark.parametrize("walled", [False, True])
def test_without_noise_good_points_lie_on_the_surface_and_outliers_do_not(walled):
    station = station_of(0, 3, 48, 64, walled=walled)
    scanner = dataclasses.replace(station.scanner, noise=0.0)
    stage = draw_stage(
        dataclasses.replace(station, scanner=scanner), np.random.default_rng(1), None
    )
    camera = camera_at(scanner, 0.7, 1.0, np.array([0, 0.01, 0]))
    taken = capture_stage(stage, camera, scanner, np.random.default_rng(2))
    rays = camera.rays(48, 64).reshape(-1, 3).T
    rays = (rays / np.sqrt((rays**2).sum(axis=0))).astype(np.float32)
    start = np.broadcast_to(camera.position.astype(np.float32)[:, None], rays.shape)
    off = np.abs(meet(stage, start, rays).distance.reshape(48, 64) - taken.distance)
    good = (taken.labels == OBJECT) | (taken.labels == TABLE)
    bad = (taken.labels == GHOST) | (taken.labels == FLYING)
    assert good.sum() > 200
    assert bad.sum() > 20
    assert off[good].max() <= LARGEST_ERROR_M + 1e-6
    assert off[bad].min() > LARGEST_ERROR_M - 1e-6
    assert np.isnan(taken.distance[taken.labels == NONE]).all()
    assert ((taken.labels == TABLE).sum() > 100) or not walled


def two_walls(gloss):
    """Return a glossy floor beside a high white wall: the floor mirrors the wall."""
    floor = SolidPart(
        centre=(0.0, 0.005, 0.0),
        half=(0.06, 0.005, 0.03),
        material=Material(albedo=0.6, gloss=gloss),
    )
    wall = SolidPart(
        centre=(0.0, 0.04, -0.03), half=(0.06, 0.04, 0.002), material=Material(albedo=0.9)
    )
    around = surroundings(Material(albedo=0.0), 0.2, None, GREY)
    return Stage(
        solid=Composed((floor, wall)), turn=np.eye(3), place=np.zeros(3), around=around, spots=0
    )


def test_mirrored_light_makes_smooth_patches_that_are_off_and_brighter():
    scanner = Scanner(height=96, width=128, noise=0.0, drop_out=0.0)
    camera = camera_at(scanner, 0.6, 0.0, np.array([0, 0.02, 0]))
    plain, mixed = (
        capture_stage(
            two_walls(0.4),
            camera,
            dataclasses.replace(scanner, mixing=mixing),
            np.random.default_rng(0),
        )
        for mixing in (0.0, 0.8)
    )
    assert not (plain.labels == GHOST).any()
    ghost = (mixed.labels == GHOST) & (plain.labels == OBJECT)
    assert 100 < ghost.sum() < 0.5 * (mixed.labels == OBJECT).sum()
    off = np.abs(mixed.distance - plain.distance)
    assert 0.001 < np.median(off[ghost]) < 0.004
    assert 1.05 < np.median((mixed.intensity / plain.intensity)[ghost]) < 2
    along = np.abs(np.diff(off, axis=1))[ghost[:, 1:] & ghost[:, :-1]]
    assert np.median(along) < 0.0002  # a patch, not salt and pepper


def test_points_up_to_the_crop_above_the_table_are_removed():
    for view in turntable(views=2):
        heights = view.scan.positions[..., 1][view.scan.valid]
        assert heights.min() > TABLE_CROP_M
        assert (view.captured.labels == TABLE)[~view.scan.valid].sum() > 20
        assert np.isnan(view.scan.intensity[~view.scan.valid]).all()
        assert (view.scan.keep == ((view.captured.labels == OBJECT) & view.scan.valid)).all()


def test_the_walls_of_a_bin_are_points_to_erase():
    view = turntable(2, views=1, walled=True)[0]
    walls = (view.captured.labels == TABLE) & view.scan.valid
    assert walls.sum() > 50
    assert not view.scan.keep[walls].any()


def test_drop_out_takes_its_share_of_pixels():
    scanner = Scanner(height=96, width=128, noise=0.0, mixing=0.0)
    camera = camera_at(scanner, 0.6, 0.0, np.array([0, 0.02, 0]))
    seen = [
        np.isfinite(
            capture_stage(
                two_walls(0.0),
                camera,
                dataclasses.replace(scanner, drop_out=share),
                np.random.default_rng(0),
            ).distance
        )
        for share in (0.0, 0.2)
    ]
    assert not (seen[1] & ~seen[0]).any()
    assert abs(1 - seen[1].sum() / seen[0].sum() - 0.2) < 0.05


def test_simulated_turntables_have_the_same_bits_everywhere():
    bits = hashlib.sha256()
    for number in range(4):
        for view in turntable(number, views=2, walled=number == 2):
            for array in (view.scan.positions, view.scan.intensity, view.scan.keep):
                bits.update(np.nan_to_num(array, nan=-1).tobytes())
    assert bits.hexdigest()[:16] == "ad8e3a66f146c5d8"


def test_a_folder_holds_pairs_with_their_cameras(tmp_path):
    pairs = list(simulate_folder(tmp_path / "out", turntables=2, views=2, size=(48, 64)))
    assert [pair.dirty.relative_to(tmp_path).as_posix() for pair in pairs] == [
        f"out/turntable_0{k}/scan_00{j}.npz" for k in (0, 1) for j in (0, 1)
    ]
    for pair, view in zip(
        pairs[:2],
        simulate_turntable(station_of(0, 0, 48, 64), 0, ("turntable", 0, 0), views=2),
        strict=True,
    ):
        dirty, clean = read_scan(pair.dirty), read_scan(pair.clean)
        assert dirty.keep is None
        assert (clean.valid == view.scan.keep).all()
        assert np.array_equal(dirty.positions, view.scan.positions, equal_nan=True)
        assert np.allclose(dirty.view.basis, view.scan.view.basis)
        assert pair.outliers == (dirty.valid & ~clean.valid).sum()
        assert pair.points == dirty.valid.sum()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty; allowed: a folder that is new or empty"):
        next(simulate_folder(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"turntables": 0}, "turntables is 0; allowed: 1 to 1000"),
        ({"size": (8, 64)}, "rows is 8; allowed: 16 to 4096"),
        ({"ending": ".xyz"}, "no format '.xyz' with a camera; allowed: .npz, .ply, .pcd"),
    ],
)
def test_a_folder_is_not_begun_with_what_is_not_allowed(tmp_path, given, words):
    with pytest.raises(DataError, match=words):
        next(simulate_folder(tmp_path / "out", **given))
    assert not (tmp_path / "out").exists()
