"""Tests of masks and clouds: they are what the model with a round's weights keeps of the scans."""

import base64

import numpy as np
import pytest

from fedchain.learning.evaluation import Evaluation, flat_weights
from fedchain.learning.task import tasks
from fedchain.page.pictures import ScanPictures
from fedchain.registry import Part
from fedchain.scans.segmentation import kept_by, mask_metrics
from fedchain.scans.simulator.scanner import simulate
from fedchain.scans.simulator.scenes import site_of


@pytest.fixture(scope="module")
def task():
    given = {"size": 16, "records_per_holder": 1, "held_out": 6}
    part = tasks.check({"kind": "scan_segmentation", **given}, ("task",))
    return tasks.build(part, 2, 0)


@pytest.fixture(scope="module")
def weights(task):
    start = flat_weights(task.model())
    return start + np.random.default_rng(1).normal(0.0, 0.3, start.shape)


def flags(text, shape):
    count = int(np.prod(shape))
    return (
        np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[:count].reshape(shape) == 1
    )


def test_masks_are_those_that_the_evaluation_measures(task, weights):
    pictures = list(ScanPictures(task, 6).stills())
    masks = list(ScanPictures(task, 6).masks(3, weights))
    metrics, outputs = Evaluation(task)(weights)
    targets = task.held_out.targets
    expected = kept_by(outputs, targets.shape) & np.isfinite(targets)
    assert 0 < expected.mean() < 1
    shape = targets.shape[1:]
    for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        assert (mask["round"], mask["scan"]) == (3, index)
        assert (flags(mask["kept"], shape) == expected[index]).all()
        assert (flags(mask["truth"], shape) == (targets[index] == 1)).all()
        assert (flags(picture["valid"], shape) == np.isfinite(targets[index])).all()
    kept = np.stack([flags(mask["kept"], shape) for mask in masks])
    assert mask_metrics(kept, task.held_out)["iou"] == pytest.approx(metrics["iou"])


def test_pictures_show_intensity_and_depth_as_the_samples_do(task):
    (picture,) = ScanPictures(task, 1).stills()
    image = task.held_out.inputs[0]
    light = np.frombuffer(base64.b64decode(picture["intensity"]), np.uint8).reshape(16, 16)
    np.testing.assert_allclose(light / 255.0, np.sqrt(image[0]), atol=0.5 / 255)
    depth = np.frombuffer(base64.b64decode(picture["depth"]), np.uint8).reshape(16, 16)
    np.testing.assert_allclose(depth / 255.0, image[1], atol=0.5 / 255)


def test_clouds_have_the_points_of_the_valid_pixels(task, weights):
    (cloud,) = ScanPictures(task, 1).clouds(2, weights)
    (mask,) = ScanPictures(task, 1).masks(2, weights)
    scanned = simulate(site_of(0, 0), 0, [("held-out scan", 0, 0)], 16, 0)
    valid = np.isfinite(task.held_out.targets[0])
    points = scanned.positions[0][valid].astype(float)
    steps = np.frombuffer(base64.b64decode(cloud["points"]), "<i2").reshape(-1, 3)
    found = steps * cloud["scale_m"]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    np.testing.assert_allclose(found, points - centre, atol=cloud["scale_m"])
    assert abs(steps).max() == 2**15 - 1
    kept = flags(mask["kept"], (16, 16))[valid]
    assert (flags(cloud["kept"], kept.shape) == kept).all()
    assert cloud["every"] == 1


def test_a_large_cloud_is_thinned(task, weights, monkeypatch):
    monkeypatch.setattr("fedchain.page.pictures.MOST_CLOUD_POINTS", 50)
    (cloud,) = ScanPictures(task, 1).clouds(2, weights)
    count = len(base64.b64decode(cloud["points"])) // 6
    valid = int(np.isfinite(task.held_out.targets[0]).sum())
    assert count == -(-valid // cloud["every"]) <= 50


def test_a_task_without_scans_has_no_pictures():
    table = tasks.build(Part("none", {}), 0, 0)
    assert list(ScanPictures(table, 4).stills()) == []
