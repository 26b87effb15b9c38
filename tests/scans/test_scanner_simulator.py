import dataclasses

import numpy as np
import pytest
from scan_files import as_scan

from fedchain.elementary import dot, exp
from fedchain.randomness import stream
from fedchain.scans.features import normals_of
from fedchain.scans.scan import FLYING, GHOST, NONE, OBJECT, TABLE, TABLE_CROP_M
from fedchain.scans.simulator.decoding import Projector, across_edges
from fedchain.scans.simulator.optics import highlight, scattered
from fedchain.scans.simulator.rays import object_distance, trace
from fedchain.scans.simulator.scanner import camera_rays, draw_noise, simulate
from fedchain.scans.simulator.scenes import LEAST_NOISE, NOISE_RANGE, draw_scenes, site_of
from fedchain.scans.simulator.shapes import SHAPES
from fedchain.scans.tasks.simulated import masks

PROJECTOR = Projector()
FIELDS = ("distance", "intensity", "labels", "table", "site")


def scan_site(number=0, scans=4, size=32, seed=0, **changes):
    site = dataclasses.replace(site_of(seed, number), **changes)
    return simulate(site, seed, [("scan", number, i) for i in range(scans)], size, number)


def members(name, count=12):
    return np.array([SHAPES[name].draw(stream(1, name, i)) for i in range(count)]).T


@pytest.mark.parametrize("name", SHAPES)
def test_no_signed_distance_outside_promises_more_than_it_keeps(name):
    random = np.random.default_rng(0)
    lengths = members(name)[:, random.integers(0, 12, 20_000)]
    here = random.uniform(-0.09, 0.09, (3, 20_000))
    there = here + random.normal(0, 0.004, here.shape)
    first = SHAPES[name].distance(*here, lengths)
    second = SHAPES[name].distance(*there, lengths)
    apart = np.linalg.norm(here - there, axis=0)
    outside = (first > 0) & (second > 0)
    assert (np.abs(first - second)[outside] <= apart[outside] * 1.001).all()


@pytest.mark.parametrize("name", SHAPES)
def test_every_object_fits_the_box_that_it_rests_on(name):
    random = np.random.default_rng(0)
    for lengths in members(name, 6).T:
        points = random.uniform(-0.1, 0.1, (3, 40_000))
        inside = SHAPES[name].distance(*points, lengths[:, None]) < 0
        extent = np.array(SHAPES[name].extent(list(lengths)))
        assert inside.any()
        assert (np.abs(points[:, inside]) <= extent[:, None] + 1e-6).all()


@pytest.mark.parametrize("number", range(6))
def test_marching_finds_what_fine_steps_find(number):
    scenes = draw_scenes(site_of(0, number), [stream(0, "scan", number, i) for i in range(2)])
    rays = camera_rays(20)
    scan, sight = np.repeat([0, 1], 400), np.tile(rays, 2)
    found = object_distance(scenes, scan, np.zeros_like(sight), sight)
    surface = SHAPES[scenes.site.family].distance
    fine = np.full(800, np.inf)
    for t in np.arange(0.75, 0.4, -2e-4):
        away = t * sight - scenes.centre.T[:, scan]
        own = np.stack([dot(scenes.rotation[scan][:, :, axis].T, away) for axis in range(3)])
        fine[surface(*own, scenes.lengths[:, scan]) < 0] = t
    both = np.isfinite(found) & np.isfinite(fine)
    assert np.isfinite(fine).sum() > 40
    assert (np.isfinite(found) != np.isfinite(fine)).sum() <= 4  # rays that graze
    assert (np.abs(found[both] - fine[both]) < 1.5e-3).mean() > 0.98


def test_a_gear_has_its_number_of_teeth():
    angles, teeth = np.linspace(-np.pi, np.pi, 5001), np.repeat([[7.0], [11], [14]], 5001, axis=1)
    radius, tooth = np.full_like(teeth, 0.04), np.full_like(teeth, 0.006)
    flat = [np.full_like(teeth, size) for size in (0.01, 0.012, 0.01)]
    lengths = np.stack([radius, tooth, flat[0], teeth, flat[1], flat[2]])
    rim = 0.04 + 0.006 * np.clip(1.5 * np.cos(teeth * angles), -1, 1)
    for side, far in ((-1, 0.999), (1, 1.001)):
        x, y = far * rim * np.cos(angles), far * rim * np.sin(angles)
        assert (side * SHAPES["gear"].distance(x, y, 0 * x, lengths) > 0).all()


def test_the_highlight_is_the_fortieth_power_of_the_cosine():
    scenes = draw_scenes(site_of(0, 5), [stream(0, "scan", 5, 0)])
    sight, scan = camera_rays(24), np.zeros(576, int)
    hits = trace(scenes, scan, np.zeros_like(sight), sight)
    light = scattered(scenes, scan, hits)
    lit = light > 0
    lit &= hits.kind == OBJECT
    mirrored = sight - 2 * dot(sight, hits.normals) * hits.normals
    toward = np.array([[0.13], [0], [0]]) - hits.points
    cosine = (dot(mirrored, toward) / np.sqrt(dot(toward, toward)))[lit]
    wanted = 2 * scenes.site.gloss * np.maximum(cosine, 0) ** 40
    assert wanted.max() > 0.1
    assert np.allclose(highlight(scenes, hits, sight, light)[lit], wanted, rtol=1e-4, atol=1e-9)


def test_noise_has_the_moments_of_a_normal_law():
    columns, light, side, share = draw_noise(np.random.default_rng(0), (400, 400))
    for noise in (columns, light):  # 160,000 numbers; the margins are four standard errors
        assert abs(noise.mean()) < 4 / 400
        assert abs(noise.var() - 1) < 4 * 2**0.5 / 400
        assert abs((noise**4).mean() - 2.9) < 4 * 96**0.5 / 400
        assert abs((np.abs(noise) > 2).mean() - 0.0455) < 0.0025
    assert abs(np.corrcoef(columns.ravel(), light.ravel())[0, 1]) < 4 / 400
    assert 0 <= min(side.min(), share.min()) < max(side.max(), share.max()) < 1


def test_sites_have_from_3_to_20_hundredths_of_a_column_of_noise():
    assert abs(LEAST_NOISE * exp(NOISE_RANGE) - 0.2) < 1e-15
    logs = np.log([site_of(0, k).noise for k in range(400)])
    assert np.log(0.03) < logs.min() < logs.max() < np.log(0.2)
    assert abs(logs.mean() - np.log(0.03 * 0.2) / 2) < 4 * NOISE_RANGE / 12**0.5 / 20


def test_rays_that_meet_the_table_end_on_it():
    scenes = draw_scenes(site_of(0, 0), [stream(0, "scan", 0, 0)])
    sight = camera_rays(24)
    hits = trace(scenes, np.zeros(576, int), np.zeros_like(sight), sight)
    on_table = hits.points[:, hits.kind == TABLE] - scenes.table.T
    assert on_table.shape[1] > 50
    assert np.abs(dot(on_table, scenes.up.T)).max() < 1e-5
    assert np.sqrt(dot(on_table, on_table)).max() < scenes.table_radius[0]


def test_decoding_a_column_gives_back_the_distance():
    sight = camera_rays(16)
    distance = np.random.default_rng(0).uniform(0.4, 0.7, 256).astype(np.float32)
    assert np.allclose(
        PROJECTOR.distance(PROJECTOR.columns(distance * sight), sight), distance, atol=1e-5
    )


def test_one_column_is_about_a_millimetre_and_a_half_of_depth():
    sight = np.array([[0], [0], [1]], np.float32)
    column = PROJECTOR.columns(0.55 * sight)
    assert 1.2e-3 < abs(float(PROJECTOR.distance(column + 1, sight)[0]) - 0.55) < 1.9e-3


@pytest.mark.parametrize("side", [0.1, 0.3, 0.6, 0.9])
def test_columns_mix_across_edges_only_and_never_around_the_border(side):
    columns = np.tile(np.arange(8, dtype=np.float32) * 10, (1, 8, 1))
    distance = np.where(np.arange(8) < 4, 0.5, 0.6).astype(np.float32) * np.ones((1, 8, 1))
    share = np.full((1, 8, 8), 0.5, np.float32)
    mixed, flying = across_edges(columns, distance, np.full((1, 8, 8), side), share)
    where = {0.1: [3], 0.3: [4]}.get(side, [])
    assert np.unique(np.nonzero(flying)[2]).tolist() == where
    assert (mixed[~flying] == columns[~flying]).all()
    if where:
        other = where[0] + (1 if side == 0.1 else -1)
        assert (mixed[0, :, where[0]] == (columns[0, 0, where[0]] + columns[0, 0, other]) / 2).all()


def test_a_scan_depends_on_its_own_stream_alone():
    together = scan_site(4, scans=70)
    alone = simulate(site_of(0, 4), 0, [("scan", 4, 68)], 32, 4)
    for name in FIELDS:
        one, same = getattr(alone, name)[0], getattr(together, name)[68]
        assert one.tobytes() == same.tobytes(), name


def test_another_seed_gives_other_scans():
    assert scan_site(0, seed=0).labels.tobytes() != scan_site(0, seed=1).labels.tobytes()


def test_labels_and_points_agree_on_what_is_empty():
    scans = scan_site(3)
    assert ((scans.labels == NONE) == np.isnan(scans.distance)).all()
    assert ((scans.labels == NONE) == np.isnan(scans.intensity)).all()


def test_table_points_lie_on_the_table_and_objects_above_it():
    scans = scan_site(1, noise=0.01)
    assert np.abs(scans.height[scans.labels == TABLE]).max() < 3e-3
    assert np.median(scans.height[scans.labels == OBJECT]) > 5e-3


def test_more_noise_moves_the_table_more():
    calm, noisy = scan_site(0, noise=0.02), scan_site(0, noise=0.2)
    spread = [np.std(s.height[s.labels == TABLE]) for s in (calm, noisy)]
    assert 5 < spread[1] / spread[0] < 15


def test_only_glossy_objects_make_ghosts():
    dull = scan_site(5, scans=12, gloss=0.0)
    shiny = scan_site(5, scans=12, gloss=0.8)
    assert (dull.labels == GHOST).sum() == 0
    assert (shiny.labels == GHOST).sum() > 50


def test_the_object_casts_a_shadow_on_the_side_away_from_the_projector():
    scans = scan_site(2, scans=8, noise=0.02)
    holes = 0
    for labels, distance in zip(scans.labels, scans.distance, strict=True):
        rows, columns = np.nonzero(labels == OBJECT)
        row = int(np.median(rows))
        edges = columns[rows == row]
        left, right = labels[row, : edges.min()], labels[row, edges.max() + 1 :]
        holes += int((left[-3:] == NONE).sum()) - int((right[:3] == NONE).sum())
        assert np.isnan(distance[labels == NONE]).all()
    assert holes > 8


def test_the_classes_have_the_shares_of_real_scans():
    labels = np.concatenate([scan_site(k, scans=20).labels for k in range(12)])
    shares = np.bincount(labels.ravel(), minlength=5) / (labels != NONE).sum()
    assert 0.3 < (labels != NONE).mean() < 0.7
    assert 0.02 < shares[FLYING] < 0.06
    assert 0.005 < shares[GHOST] < 0.06


def test_cropping_the_table_leaves_what_a_real_scan_has():
    scans = [scan_site(k, scans=20) for k in range(12)]
    pairs = [masks(s, "outliers") for s in scans]
    for (valid, keep), one in zip(pairs, scans, strict=True):
        assert (one.height[valid] > TABLE_CROP_M).all()
        assert (one.labels[keep] == OBJECT).all()
    keep_all = np.mean([keep.sum() / valid.sum() for valid, keep in pairs])
    assert 0.7 < keep_all < 0.97


def test_normals_of_a_scan_come_from_its_noisy_points():
    scans = scan_site(0)
    scan = as_scan(scans, 1, "object")
    again = normals_of(scan.positions, scan.camera)
    assert np.array_equal(scan.normals, again, equal_nan=True)
    assert (scan.valid == (scans.labels[1] != NONE)).all()
