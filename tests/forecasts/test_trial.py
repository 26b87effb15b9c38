from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import small
from whole_numbers import WHOLE, whole_numbers

from fedchain.forecasts import disk as disks
from fedchain.forecasts import stages
from fedchain.forecasts.disk import EMPTY, SECTOR, disk_bytes, sectors
from fedchain.forecasts.forecast import forecast
from fedchain.forecasts.rates import ROUGH
from fedchain.forecasts.stages import TIMES
from fedchain.forecasts.trial import tried
from fedchain.learning.tasks import public_subspace
from fedchain.ledger.chain.block import Block, encode_block
from fedchain.ledger.chain.message import Message, encode_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.hashing import attempts, stretch
from fedchain.results import LEDGER
from fedchain.runs.running import run
from fedchain.simulation.setup import build_setup
from fedchain.simulation.transport import EventQueue
from fedchain.update import Updated

ADAM = {"kind": "adam", "learning_rate": 0.1}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A run that does not fork, what was delivered in it, and its trial."""
    taken, take = [], EventQueue.take

    def noted(queue):
        event = take(queue)
        taken.append(event.payload)
        return event

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventQueue, "take", noted)
        scenario = small(rounds=4, attacks=[], privacy=WHOLE, **{"ledger.storage": "int16"})
        with whole_numbers():
            done = run(scenario, tmp_path_factory.mktemp("runs"))
            trial = tried(scenario)
    assert done.manifest["stale_blocks"] == 0
    return done, taken, trial


def test_messages_and_blocks_have_the_bytes_that_are_told(counted):
    done, _, trial = counted
    with Store.open(done.folder / LEDGER, writable=False) as store:
        blocks = list(store.blocks())
    sizes = [len(encode_message(message)) for block in blocks for message in block.messages]
    assert max(sizes) == trial.message
    # at the edge of the tree of identities a proof may be a hash or two shorter
    assert min(sizes) >= trial.message - 3 * 32
    assert max(len(encode_block(block)) for block in blocks) == trial.block


def test_the_run_folder_grows_by_the_bytes_that_are_told(counted):
    done, _, trial = counted
    files = [file for file in (done.folder / LEDGER / "blobs").rglob("*") if file.is_file()]
    per_round = sum(file.stat().st_size for file in files) / 4
    assert per_round == pytest.approx(trial.counts.message + trial.counts.state, rel=0.15)


def test_deliveries_are_those_of_a_run(counted):
    _, taken, trial = counted
    delivered = sum(isinstance(payload, Message | Block) for payload in taken)
    assert delivered == 4 * trial.counts.event


def test_the_wire_adds_up_to_what_its_ends_receive(counted):
    trial = counted[2]
    wire, fetched = trial.wire_bytes(), 264 + 96 + trial.weights
    assert wire["holder"] == 3 * wire["message"] + fetched
    assert wire["all"] == 10 * wire["holder"] + 2 * wire["block"]
    nodes = trial.scenario.nodes.model_copy(update={"compute": 1})
    alone = replace(trial, scenario=trial.scenario.model_copy(update={"nodes": nodes})).wire_bytes()
    assert alone["compute node"] == 10 * (alone["message"] + fetched)


def test_a_round_takes_what_was_tried_and_what_the_rates_say(counted):
    trial = counted[2]
    spent = trial.seconds(ROUGH)
    assert spent.items() >= trial.spent_s.items()
    slower = trial.seconds(ROUGH.model_copy(update={"event": ROUGH.event + 1.0}))
    assert slower["events"] - spent["events"] == pytest.approx(3 * 10 + 2 + 10)


@pytest.mark.parametrize(("bits", "compute"), [(4, 3), (16, 2), (18, 3)])
def test_attempts_are_those_of_nodes_that_look_up_after_every_stretch(bits, compute):
    own = np.random.default_rng(0).geometric(2.0**-bits, (20_000, compute))
    each = stretch(2.0**bits / compute)
    stretches = np.ceil(own / each).min(axis=1)
    tried = np.minimum(own, stretches[:, None] * each).sum(axis=1)
    assert attempts(bits, compute) == pytest.approx(tried.mean(), rel=0.03)


def test_no_difficulty_is_one_try_a_node():
    assert attempts(0, 5) == 5


def two_arrays(weights, memory, gradient, round_):
    return Updated(weights - gradient, {"one": gradient, "two": gradient})


@pytest.mark.parametrize(
    ("update", "arrays"),
    [
        ({**ADAM, "kind": "gradient_descent"}, 0),
        ({**ADAM, "kind": "momentum"}, 1),
        (ADAM, 2),
        ({"kind": "distance_over_gradients"}, 1),
        ({"kind": "averaged", "of": ADAM}, 3),
        ({"kind": "filtered", "of": ADAM}, 3),
        ({"kind": "test_trial:two_arrays"}, 2),
    ],
)
def test_the_state_has_the_arrays_of_the_update(update, arrays):
    mlp = {"kind": "mlp", "hidden": [100]}
    scenario = small(**{"update": update, "ledger.weights": "float32", "task.model": mlp})
    trial = tried(scenario)
    assert trial.weights == pytest.approx(4 * trial.dimension, rel=0.05)
    assert trial.memory == pytest.approx(8 * arrays * trial.dimension, rel=0.05, abs=400)


def test_a_proof_of_identity_is_on_the_wire_only_where_identities_are_registered():
    known, free = (tried(small(**{"nodes.identity": kind})) for kind in ("registered", "open"))
    assert known.message - free.message == 16 + 1 + 32 * 6


def test_records_are_those_that_the_holders_of_a_run_have():
    split = {"kind": "dirichlet", "alpha": 0.1, "least": 1}
    uneven = small(task={"kind": "breast_cancer", "split": split})
    counts = [own.count for own in build_setup(uneven).task.holders]
    assert max(counts) > 5 * min(counts)
    told = forecast(uneven)
    mean = round(sum(counts) / 10, 1)
    assert told.values["records"] == {
        "least": min(counts), "mean": mean, "most": max(counts), "known": True
    }  # fmt: skip
    words = f"{min(counts)} to {max(counts)} a holder, {mean} on average"
    assert dict(told.rows)["records"] == words


def test_drawn_work_takes_no_time():
    drawn = small(**{"ledger.work": {"kind": "sampled", "interval_s": 600}})
    assert tried(drawn).spent_s["work"] == 0
    assert tried(small()).spent_s["work"] > 0


def test_public_directions_are_tried_anew_at_every_parent(monkeypatch):
    found, leading = [], public_subspace.leading
    monkeypatch.setattr(public_subspace, "leading", lambda *a: found.append(a) or leading(*a))
    task = {"kind": "public_subspace", "of": {"kind": "breast_cancer"}, "records": 20,
            "directions": 5}  # fmt: skip
    tried(small(task=task, engine={"kind": "threads", "workers": 1}))
    assert len(found) == TIMES


def test_the_run_folder_occupies_the_space_that_is_told(counted):
    done, _, trial = counted
    paths = [done.folder, *done.folder.rglob("*")]
    occupied = sum(sectors(path.stat().st_size) for path in paths if path.is_file())
    occupied += sum(SECTOR for path in paths if path.is_dir())
    assert disk_bytes(trial) == pytest.approx(occupied, rel=0.25)


@pytest.mark.parametrize(
    ("disk", "blobs"),
    [
        ({"disk.keep_weights": "all"}, (40 + 2 * 41) * SECTOR),
        ({"disk.keep_weights": 10}, (40 + 2 * 5) * SECTOR),
        ({"disk.keep_weights": "last"}, (40 + 2 * 2) * SECTOR),
    ],
    ids=["every block", "every tenth block", "first and last block"],
)
def test_only_the_weights_that_are_kept_occupy_space(counted, monkeypatch, disk, blobs):
    trial = counted[2]
    monkeypatch.setattr(disks, "FOLDERS", 1)
    trial = replace(trial, scenario=small(rounds=40, attacks=[], **disk), block=SECTOR)
    assert (trial.weights, trial.memory) < (SECTOR, SECTOR)
    rows = disk_bytes(replace(trial, block=0, weights=0, memory=EMPTY))
    assert disk_bytes(trial) - rows == blobs


def test_every_key_of_the_run_is_made_before_it_begins(monkeypatch):
    clock = iter([0.0, 64 * 0.001])
    monkeypatch.setattr(stages, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    scenario = small(rounds=50)
    assert stages.keys_s(scenario) == pytest.approx(50 * 10 * 0.001)
    assert stages.keys_s(small(rounds=50, **{"nodes.identity": "open"})) == 0.0


def test_the_time_of_a_run_begins_with_libraries_data_and_keys():
    said = forecast(small(rounds=3)).values
    round_s = sum(said["round"]["seconds"].values())
    whole_s = sum(said["begin"].values()) + 3 * round_s
    assert said["estimates"]["seconds"] == pytest.approx(whole_s, abs=0.06)
