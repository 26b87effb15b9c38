"""A chain that is made and signed again as a whole by somebody who knows the seed.

Whoever knows the seed has every key. So the other chain has the same genesis, keeps every rule, and
ends in weights of the forger's choice; only its head is another.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from small_runs import small
from verify_chain import chain

from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.ledger.chain.message import Declaration
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.results import LEDGER, Run, exported_to
from fedchain.results.agreed import ALONE, OPEN, SECRET
from fedchain.runs.running import run
from fedchain.transition import steps_of

LESSON = Path(__file__).parents[2] / "scenarios" / "lessons" / "verify_chain"
SCENARIO = small(
    8,
    attacks=[],
    aggregation={"kind": "mean"},
    update={"kind": "gradient_descent", "learning_rate": 0.5},
)
CHOSEN = 3.0
"""Every weight that the forger wants."""
MEANS = "make and sign another chain"
COMPARE = "compare the head with one that you know from elsewhere"


def towards_the_chosen(_: object, weights: np.ndarray, holders: list[int], *__: object):
    """Return the way from the chosen weights, a little other for each holder: no exact copies."""
    places = np.add.outer(holders, np.arange(len(weights)))
    return np.float32((weights - CHOSEN) * (1.0 + 0.05 * np.cos(places)))


def signed_again(out: Path, **options: object) -> Run:
    """Run the scenario with the forger's gradients in place of the holders', and without noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CohortGradients, "__call__", towards_the_chosen)
        gaussian = importlib.import_module("fedchain.privacy.mechanisms.gaussian")
        patch.setattr(gaussian, "normals", lambda keys, d: np.zeros((len(keys), d), np.float32))
        made = run(SCENARIO, out, workers=1, **options)
    assert made.manifest["status"] == "finished"
    return made


def genesis_of(found: Run) -> bytes:
    with Store.open(found.folder / LEDGER, writable=False) as store:
        return store.genesis.header.hash


def last_weights(found: Run) -> np.ndarray:
    with Store.open(found.folder / LEDGER, writable=False) as store:
        return store.state(store.head).weights


def declarations(found: Run) -> set[Declaration]:
    with Store.open(found.folder / LEDGER, writable=False) as store:
        return {message.declaration for block in store.blocks() for message in block.messages}


@pytest.fixture(scope="module")
def true(tmp_path_factory) -> Run:
    return run(SCENARIO, tmp_path_factory.mktemp("true"))


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Run:
    return signed_again(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def file(other, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("file") / "other.fedchain"
    exported_to(other.folder, made)
    return made


def test_it_has_the_same_genesis_and_the_weights_of_the_forgers_choice(true, other):
    assert genesis_of(other) == genesis_of(true)
    assert declarations(other) == declarations(true)
    assert other.manifest["head"] != true.manifest["head"]
    np.testing.assert_allclose(last_weights(other), CHOSEN, rtol=0.02)
    assert np.median(np.abs(last_weights(true) - CHOSEN)) > 1.0  # one may be near it by chance


def test_both_verifiers_accept_it(other, file):
    blocks, head, height = chain.verify(file.read_bytes())
    found = verify_file(file, steps_of(trust_user_parts=False))
    assert found.ok
    assert (found.blocks, found.block, found.height) == (blocks, head.hex(), height)
    assert head.hex() == other.manifest["head"]


def test_it_passes_for_the_run_whose_ledger_it_replaces(true, other, tmp_path):
    copy = shutil.copytree(true.folder, tmp_path / "copy")
    shutil.rmtree(copy / LEDGER)
    shutil.copytree(other.folder / LEDGER, copy / LEDGER)
    assert "head: manifest.json names" in Run.open(copy).verify().reason
    text = (copy / "manifest.json").read_text("utf-8")
    heads = true.manifest["head"], other.manifest["head"]
    (copy / "manifest.json").write_text(text.replace(*heads), "utf-8")
    assert Run.open(copy).verify().ok, "only somebody who knows the true head can tell"


def test_verify_says_what_that_means_in_words_and_in_json(other, file, tmp_path):
    for what, note in ((other.folder, OPEN), (file, ALONE)):
        told = call("verify", what, "--format", "plain")
        assert told.code == 0
        assert f"\nhead {other.manifest['head']}\n" in told.out
        assert all(words in told.out for words in (note, MEANS, COMPARE))
        found = json.loads(call("verify", what, "--format", "json").out)
        assert (found["ok"], found["head"]) == (True, other.manifest["head"])
        assert found["notes"] == [note]
    told = call("import", file, "--out", tmp_path / "imported")
    assert (told.code, COMPARE in told.out) == (0, True)


def test_the_second_verifier_shows_the_whole_head(other, file):
    command = [sys.executable, LESSON, file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert other.manifest["head"] in said


def test_with_a_secret_only_who_has_its_file_can_do_so(tmp_path):
    mine = tmp_path / "secret"
    true = run(SCENARIO, tmp_path / "true", secret=mine)
    without = signed_again(tmp_path / "without")
    assert genesis_of(without) != genesis_of(true)
    having = signed_again(tmp_path / "having", secret=mine)
    assert genesis_of(having) == genesis_of(true)
    assert having.manifest["head"] != true.manifest["head"]
    told = call("verify", having.folder, "--format", "json")
    assert json.loads(told.out)["notes"] == [SECRET]
    assert MEANS in SECRET
    assert COMPARE in SECRET
