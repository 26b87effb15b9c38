import numpy as np

from fedchain.scans.features import features_of


def random_batch(scans=3, size=12):
    random = np.random.default_rng(0)
    valid = random.random((scans, size, size)) < 0.6
    hole = np.where(valid, 0, np.nan)
    normals = random.normal(size=(scans, size, size, 3)) + hole[..., None]
    return (
        random.random((scans, size, size)) + hole,
        0.5 + random.random(hole.shape) + hole,
        normals,
        valid,
    )


def test_features_are_what_a_plain_loop_computes():
    light, distance, normals, valid = random_batch()
    found = features_of(light, distance, normals, valid)
    for s in range(len(valid)):
        v = valid[s]
        wanted = np.zeros((5, *v.shape))
        wanted[0][v] = np.minimum(255, np.round(2 * 255 * light[s][v] / light[s][v].max()))
        far, near = distance[s][v].max(), distance[s][v].min()
        wanted[1][v] = np.round(255 * (far - distance[s][v]) / (far - near))
        low, high = normals[s][v].min(), normals[s][v].max()
        for axis in range(3):
            wanted[2 + axis][v] = np.round(255 * (normals[s][v][:, axis] - low) / (high - low))
        assert np.abs(found[s] * 255 - wanted).max() <= 1e-3 * 255


def test_features_have_eight_bits_and_nothing_where_no_point_is():
    *arrays, valid = random_batch()
    found = features_of(*arrays, valid)
    assert found.dtype == np.float32
    assert np.allclose(found * 255, np.round(found * 255), atol=1e-4)
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found.transpose(0, 2, 3, 1)[~valid] == 0).all()


def test_the_nearest_point_is_the_brightest_in_depth():
    light, distance, normals, valid = random_batch(1)
    depth = features_of(light, distance, normals, valid)[0, 1]
    assert depth.ravel()[np.nanargmin(distance)] == 1
    assert depth.ravel()[np.nanargmax(distance)] == 0


def test_a_scan_is_ranged_by_itself():
    batch = random_batch(3)
    together = features_of(*batch)
    alone = features_of(*(part[1:2] for part in batch))
    assert np.array_equal(together[1:2], alone)


def test_empty_and_flat_scans_have_finite_features():
    ones = np.ones((2, 3, 3))
    valid = np.zeros((2, 3, 3), bool)
    valid[1] = True
    found = features_of(ones, ones, np.ones((2, 3, 3, 3)), valid)
    assert np.isfinite(found).all()
    assert (found[0] == 0).all()
