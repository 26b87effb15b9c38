import re
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from training_scans import bumpy, folder_of_pairs

import fedchain
from fedchain.errors import RunRefused
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.task import tasks
from fedchain.ledger.storage.store import Store
from fedchain.registry import Part
from fedchain.results import LEDGER, Run, scan_models
from fedchain.results.scan_models import scan_model_of
from fedchain.scans.training.cleaning import chances
from fedchain.scans.training.folders import FileSet, ScanFile
from fedchain.scans.training.images import OpenSet
from fedchain.scans.turntable import Views, channel_image

SCENARIO = """
version: 1
name: scans
rounds: 2
task:
  kind: scan_folder
  path: {path}
  dirty: "scan_*.npz"
  clean: "clean_*.npz"
  tile: 16
  model: {{kind: gajdosech_unet, levels: 1, width: 1, norm: group}}
nodes: {{holders: 2, compute: 1}}
privacy: {{kind: none}}
aggregation: {{kind: mean}}
update: {{kind: adam, learning_rate: 0.02}}
ledger: {{work: {{kind: hashcash, difficulty_bits: 1}}}}
"""


IMAGES = "kind: scan_images\n  size: [16, 24]"


def run_on_scans(place: Path, scenario: str) -> Run:
    for number in range(2):
        scan = bumpy(number)
        for name, valid in (("scan", scan.valid), ("clean", scan.keep)):
            positions = np.where(valid[..., None], scan.positions, np.nan)
            light = np.where(valid, scan.intensity, np.nan)
            np.savez(place / f"{name}_{number}.npz", positions=positions, intensity=light,
                     camera=scan.camera)  # fmt: skip
    (place / "scans.yaml").write_text(scenario.format(path=place))
    return fedchain.run(fedchain.load(str(place / "scans.yaml")), out=place / "runs")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return run_on_scans(tmp_path_factory.mktemp("run"), SCENARIO)


@pytest.fixture(scope="module")
def run_of_images(tmp_path_factory) -> Run:
    scenario = SCENARIO.replace("kind: scan_folder", IMAGES).replace("  tile: 16\n", "")
    return run_on_scans(
        tmp_path_factory.mktemp("images"), scenario.replace("holders: 2", "holders: 1")
    )


def test_the_model_of_a_block_has_the_weights_on_the_chain(run):
    trained, block = scan_model_of(run.folder)
    with Store.open(run.folder / LEDGER, writable=False) as store:
        assert block == store.head.hex()
        head = store.state(store.head).weights
    assert np.allclose(flat_weights(trained.module), head, atol=1e-6)
    assert trained.card.alone
    assert (trained.card.kind, trained.card.window, trained.card.threshold) == ("picture", 16, 0.5)
    task: Part = run.scenario.task
    whole = Part(task.kind, {**task.parameters, "record": "scan"})
    assert not scan_models._card(run, whole, block).alone
    first, _ = scan_model_of(run.folder, height=0)
    assert not np.allclose(flat_weights(first.module), head, atol=1e-6)


def test_a_run_cleans_a_scan_as_its_task_measures_it(run):
    trained, _ = scan_model_of(run.folder)
    part: Part = run.scenario.task
    task = tasks.build(part, 2, run.scenario.seed)
    path = Path(part.parameters["path"]) / "scan_1.npz"
    file = ScanFile(path, "scan_1")
    read = OpenSet.for_model(FileSet((file,)), trained.card).image(file)
    kept = (chances(trained, read.image, read.valid) >= 0.5) & read.valid
    outliers = read.valid & ~bumpy(1).keep
    found = (outliers & ~kept).sum() / max(outliers.sum(), 1)
    import torch

    with torch.inference_mode():
        outputs = trained.module(torch.from_numpy(task.held_out.inputs)).numpy()
    assert task.measure(outputs, task.held_out)["outlier_recall"] == pytest.approx(found)


def test_a_run_on_whole_scans_judges_every_pixel_as_its_task_judges_every_nth(run_of_images):
    trained, _ = scan_model_of(run_of_images.folder)
    assert (trained.card.size, trained.card.alone) == ((16, 24), False)
    part = run_of_images.scenario.task
    task = tasks.build(part, 1, run_of_images.scenario.seed)
    file = ScanFile(Path(part.parameters["path"]) / "scan_1.npz", "scan_1")
    read = OpenSet.for_model(FileSet((file,)), trained.card).image(file)
    chance = chances(trained, read.image, read.valid)
    import torch

    with torch.inference_mode():
        logits = trained.module(torch.from_numpy(task.held_out.inputs.copy())).numpy()
    few = read.valid[::3, ::3]  # 40 x 48 pixels fit into 16 x 24 if every third remains
    height, width = few.shape
    ours = np.where(few, 1 / (1 + np.exp(-logits.reshape(16, 24)[:height, :width])), 0)
    assert np.allclose(chance[::3, ::3], ours, atol=1e-6)
    assert ((chance > 0) == read.valid).all()
    other = read.image[:, 1::3, 2::3]
    alone = channel_image(
        read.scan.part((slice(1, None, 3), slice(2, None, 3))), "picture", Views([])
    )
    assert np.array_equal(other, alone)


def test_a_run_on_no_scans_is_refused_with_the_tasks_on_scans(run, tmp_path, monkeypatch):
    monkeypatch.setattr(scan_models, "SIDES", {"scan_images": "size"})
    with pytest.raises(RunRefused, match="has the task scan_folder; allowed: scan_images"):
        scan_model_of(run.folder)


def test_filter_takes_the_model_of_a_run(run, tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=1, more=0)
    out = tmp_path / "out"
    told = call("scan", "filter", folder, "--from-run", run.folder, "--height", "1", "-o", out)
    assert (told.code, told.err) == (0, "")
    assert "task scan_folder by the run" in told.out
    assert (out / "scan_000.keep.npy").exists()


def test_a_block_that_is_not_there_is_refused_with_what_is(run):
    with pytest.raises(RunRefused, match=r"no round 9; allowed: 0 .* to 2"):
        scan_model_of(run.folder, height=9)


def test_a_run_predicts_which_points_of_a_scan_stay_as_filter_does(run, tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=2, more=0)
    one, other = sorted(folder.glob("scan_*"))[:2]
    told = call("predict", run.folder, one, "-o", tmp_path / "one")
    assert (told.code, told.err) == (0, "")
    kept = np.load(tmp_path / "one" / "scan_000.keep.npy")
    assert not (tmp_path / "one" / "scan_001.keep.npy").exists()
    np.testing.assert_array_equal(run.predict(one), kept)
    assert len(run.predict([one, str(other)])) == 2
    assert (
        call("scan", "filter", folder, "--from-run", run.folder, "-o", tmp_path / "all").code == 0
    )
    np.testing.assert_array_equal(np.load(tmp_path / "all" / "scan_000.keep.npy"), kept)
    assert call("predict", run.folder, one).code == 2  # masks need a folder


def test_what_is_no_scan_is_refused(run, tmp_path):
    folder = folder_of_pairs(tmp_path / "scans", pairs=1, more=0)
    (folder / "notes.txt").write_text("none")
    told = call("predict", run.folder, folder / "notes.txt", "-o", tmp_path / "out")
    assert (told.code, "notes.txt: is no scan; allowed: files that" in told.err) == (3, True)


def test_a_task_around_a_task_on_scans_gives_a_model_of_scans_too(run, tmp_path):
    inner = (
        "{{kind: scan_folder, path: {path}, dirty: 'scan_*.npz', clean: 'clean_*.npz', tile: 16, "
        "model: {{kind: gajdosech_unet, levels: 1, width: 1, norm: group}}}}"
    )
    task = "task: {{kind: augmented, views: 2, of: " + inner + "}}\n"
    around = re.sub(r"task:\n(  .*\n)+", lambda _: task, SCENARIO)
    done = run_on_scans(tmp_path, around)
    trained, _ = scan_model_of(done.folder)
    assert (trained.card.window, trained.card.alone) == (16, True)


def test_the_model_of_a_run_that_averages_its_weights_is_the_average(tmp_path):
    averaged = "{{kind: averaged, of: {{kind: adam, learning_rate: 0.02}}}}"
    done = run_on_scans(tmp_path, SCENARIO.replace("{{kind: adam, learning_rate: 0.02}}", averaged))
    trained, _ = scan_model_of(done.folder)
    np.testing.assert_allclose(flat_weights(trained.module), done.weights(), atol=1e-6)
