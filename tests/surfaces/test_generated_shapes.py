"""Generated shapes: points on surfaces, spread evenly, and the way from a point to a surface."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fedchain.randomness import stream
from fedchain.surfaces.generated import (
    generate_shape,
    offsets_to_surface,
    slopes,
    sphere_around,
    surface_points,
    unit_sphere,
)
from fedchain.surfaces.solids import (
    SOLID_REACH,
    SOLIDS,
    ball,
    blend,
    box,
    draw_rotation,
    limb,
    placed_solid,
    union,
)

POINTS = np.random.default_rng(0).uniform(-1.5, 1.5, (3, 500))


def lengths(vectors):
    return np.sqrt((np.asarray(vectors) ** 2).sum(axis=0))


@pytest.mark.parametrize("family", SOLIDS)
def test_points_lie_on_the_surface_of_a_solid_within_reach(family):
    for number in range(3):
        shape = generate_shape(0, ["test", number], family, 50, 200)
        every = np.concatenate([shape.points, shape.truth]).T
        assert np.abs(shape.level(every)).max() < 1e-6
        assert lengths(every).max() < SOLID_REACH
        assert every.T.std(axis=0).min() > 0.01


@pytest.mark.parametrize("family", SOLIDS)
def test_a_level_changes_its_sign_at_the_surface_and_is_not_too_steep(family):
    shape = generate_shape(0, ["test", 7], family, 100, 0)
    normals = slopes(shape.level, shape.points.T)
    steep = lengths(normals)
    assert np.median(steep) == pytest.approx(1, abs=0.75)
    assert steep.max() < 1.25
    out = normals / np.maximum(steep, 1e-9) * 1e-4
    assert (shape.level(shape.points.T + out) > 0).mean() > 0.9
    assert (shape.level(shape.points.T - out) < 0).mean() > 0.9


def test_the_same_name_gives_the_same_shape_and_another_name_another():
    first, again = (generate_shape(0, ["one"], "castings", 30, 10) for _ in range(2))
    other = generate_shape(0, ["other"], "castings", 30, 10)
    assert first.points.tobytes() == again.points.tobytes()
    assert first.points.tobytes() != other.points.tobytes()


def test_points_are_spread_evenly_over_sphere_and_box():
    sphere = surface_points(ball([1, 1, 1]), 4000, stream(0, "test"))
    # Archimedes: each coordinate of evenly spread points on a sphere is uniform from -1 to 1.
    for axis in range(3):
        counts, _ = np.histogram(sphere[:, axis], 10, (-1, 1))
        assert np.abs(counts - 400).max() < 5 * math.sqrt(400)
    sides = np.array([0.9, 0.5, 0.2])
    points = surface_points(box(sides), 4000, stream(1, "test"))
    face = np.argmin(np.abs(np.abs(points) - sides), axis=1)
    areas = np.array([0.5 * 0.2, 0.9 * 0.2, 0.9 * 0.5])
    wanted = 4000 * areas / areas.sum()
    assert np.abs(np.bincount(face) - wanted).max() < 5 * math.sqrt(wanted.max())


def test_points_are_spread_evenly_along_a_rod():
    rod = surface_points(box([0.9, 0.1, 0.1]), 6000, stream(2, "test"))
    on_side = rod[np.abs(rod[:, 0]) < 0.9 - 1e-6, 0]
    counts, _ = np.histogram(on_side, 10, (-0.9, 0.9))
    assert np.abs(counts - len(on_side) / 10).max() < 5 * math.sqrt(len(on_side) / 10)


def test_the_sphere_around_a_solid_holds_its_surface_and_is_not_much_larger():
    solid = placed_solid(ball([0.3, 0.3, 0.3]), [0.7, -0.4, 0.2], draw_rotation(stream(0, "turn")))
    centre, radius = sphere_around(solid)
    points = surface_points(solid, 500, stream(0, "test"))
    assert lengths((points - centre).T).max() < radius
    assert radius < 0.3 + 0.6


def test_solids_are_negative_inside_and_measure_distances():
    x, y, z = POINTS
    assert ball([0.5, 0.5, 0.5])(POINTS) == pytest.approx(lengths(POINTS) - 0.5)
    inside = (np.abs(x) < 0.5) & (np.abs(y) < 0.4) & (np.abs(z) < 0.3)
    assert ((box([0.5, 0.4, 0.3])(POINTS) < 0) == inside).all()
    eighth = (x / 0.5) ** 8 + (y / 0.4) ** 8 + (z / 0.3) ** 8 < 1
    assert ((ball([0.5, 0.4, 0.3], 8)(POINTS) < 0) == eighth).all()
    rod = limb([0, 0, -0.5], [0, 0, 0.5], 0.2, 0.2)
    axis = np.stack([x, y, z - np.clip(z, -0.5, 0.5)])
    assert rod(POINTS) == pytest.approx(lengths(axis) - 0.2)


def test_a_union_is_where_one_part_is_and_a_blend_holds_it():
    parts = ball([0.5] * 3), box([0.8, 0.2, 0.2])
    one, two = (part(POINTS) for part in parts)
    assert (union(parts)(POINTS) == np.minimum(one, two)).all()
    blended = blend(parts, 0.2)(POINTS)
    assert (blended <= np.minimum(one, two)).all()
    assert (blended >= np.minimum(one, two) - 0.05 - 1e-12).all()
    far = np.abs(one - two) > 0.2
    assert (blended[far] == np.minimum(one, two)[far]).all()


def test_a_placed_solid_is_turned_and_then_moved():
    turn, centre = draw_rotation(stream(0, "turn")), np.array([0.3, -0.2, 0.1])
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    solid = box([0.6, 0.3, 0.1])
    moved = placed_solid(solid, centre, turn)
    assert moved(turn @ POINTS + centre[:, None]) == pytest.approx(solid(POINTS))


def test_the_way_to_a_surface_ends_there_and_is_the_shortest_one():
    near = 0.8 * POINTS[:, lengths(POINTS) > 0.3]
    for solid in (ball([1, 1, 1]), limb([0, 0, -0.4], [0, 0, 0.4], 0.3, 0.3)):
        offsets = offsets_to_surface(solid, near.T)
        assert np.abs(solid(near + offsets.T)).max() < 1e-6
        assert lengths(offsets.T) == pytest.approx(np.abs(solid(near)), abs=1e-5)


def test_the_unit_sphere_holds_a_cloud_and_touches_it():
    points = POINTS.T + np.array([5, 6, 7])
    centre, radius = unit_sphere(points)
    assert centre == pytest.approx(points.mean(axis=0))
    assert lengths(((points - centre) / radius).T).max() == pytest.approx(1)
    assert unit_sphere(np.ones((4, 3)))[1] == 1
