from dataclasses import replace

import numpy as np
import pytest
from small_runs import small
from whole_numbers import WHOLE, whole_numbers

from fedchain.forecasts import costs
from fedchain.forecasts.costs import DISK, ROUGH, Configuration, Learning
from fedchain.forecasts.forecast import forecast
from fedchain.ledger.chain.block import Block, encode_block
from fedchain.ledger.chain.message import Message, encode_message
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.hashing import TRIES, attempts
from fedchain.results import LEDGER
from fedchain.runs.running import run
from fedchain.simulation.transport import EventQueue

LEARNING = Learning(
    examples=60,
    dimension=50_890,
    products=50_816.0,
    activations=138.0,
    layers=4,
    method="segments",
    pieces=1,
    held_out=60,
)
ASKED = Configuration(
    holders=50,
    learning=LEARNING,
    private=True,
    compute=3,
    workers=2,
    storage=2,
    path=12,
    state=1,
    weights=8,
    difficulty_bits=8,
    measured_every=1,
)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A run that does not fork, with what was delivered in it."""
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
    assert done.manifest["stale_blocks"] == 0
    return done, taken, forecast(scenario).asked


def test_messages_and_blocks_have_the_bytes_that_are_counted(counted):
    done, _, asked = counted
    with Store.open(done.folder / LEDGER, writable=False) as store:
        blocks = list(store.blocks())
    sizes = [len(encode_message(message)) for block in blocks for message in block.messages]
    assert max(sizes) == costs.message_bytes(asked)
    # at the edge of the tree of identities a proof may be a hash or two shorter
    assert min(sizes) >= costs.message_bytes(asked) - 3 * costs.HASH
    assert max(len(encode_block(block)) for block in blocks) == costs.block_bytes(asked)


def test_the_blobs_of_a_ledger_have_the_bytes_that_are_counted(counted):
    done, _, asked = counted
    files = [file for file in (done.folder / LEDGER / "blobs").rglob("*") if file.is_file()]
    per_round = sum(file.stat().st_size for file in files) / 4
    assert per_round == pytest.approx(costs.blob_bytes(asked), rel=0.15)


def test_deliveries_are_those_of_a_run(counted):
    _, taken, asked = counted
    delivered = sum(isinstance(payload, Message | Block) for payload in taken)
    assert delivered == 4 * costs.deliveries(asked)


@pytest.mark.parametrize(("bits", "compute"), [(4, 3), (16, 2), (18, 3)])
def test_attempts_are_those_of_nodes_that_look_up_after_every_stretch(bits, compute):
    own = np.random.default_rng(0).geometric(2.0**-bits, (20_000, compute))
    stretches = np.ceil(own / TRIES).min(axis=1)
    tried = np.minimum(own, stretches[:, None] * TRIES).sum(axis=1)
    assert attempts(bits, compute) == pytest.approx(tried.mean(), rel=0.03)


def test_no_difficulty_is_one_try_a_node():
    assert attempts(0, 5) == 5


def test_noise_costs_only_those_who_draw_it():
    plain = costs.seconds(replace(ASKED, private=False), ROUGH)
    private = costs.seconds(ASKED, ROUGH)
    assert plain["noise"] == 0
    assert private["noise"] == pytest.approx(50 * 50_890 * ROUGH.noise)
    assert {k: v for k, v in plain.items() if k != "noise"} == {
        k: v for k, v in private.items() if k != "noise"
    }


def test_one_worker_takes_twice_as_long_for_the_holders_and_as_long_for_the_nodes():
    two, one = costs.seconds(ASKED, ROUGH), costs.seconds(replace(ASKED, workers=1), ROUGH)
    for what in ("gradients", "noise", "quantise", "hash and sign"):
        assert one[what] == pytest.approx(2 * two[what])
    for what in ("aggregation", "update", "work", "events", "rest"):
        assert one[what] == two[what]


def test_more_workers_than_measured_cores_are_not_faster():
    assert costs.seconds(replace(ASKED, workers=64), ROUGH) == costs.seconds(ASKED, ROUGH)


def test_chunks_that_do_not_divide_leave_cores_idle():
    alone = replace(ASKED, holders=3, learning=replace(LEARNING, method="layers"))
    assert costs.idle(alone, 2) == pytest.approx(4 / 3)
    assert costs.idle(replace(alone, holders=4), 2) == 1


def test_the_disk_counts_only_for_what_it_takes_longer_than_the_rest():
    slow = replace(ROUGH, store=1e-6)
    spent = costs.seconds(ASKED, slow)
    assert costs.seconds(ASKED, ROUGH)[DISK] == 0
    written = costs.blob_bytes(ASKED) * 1e-6 + 2 * slow.commit
    assert sum(spent.values()) == pytest.approx(written)


def test_the_wire_adds_up_to_what_its_ends_receive():
    wire = costs.wire_bytes(ASKED)
    fetched = costs.header_and_weights(ASKED)
    assert wire["holder"] == 3 * wire["message"] + fetched
    assert wire["all"] == 50 * wire["holder"] + 2 * wire["block"]
    alone = costs.wire_bytes(replace(ASKED, compute=1))
    assert alone["compute node"] == 50 * (alone["message"] + fetched)


def test_directions_of_public_records_are_paid_once_by_every_worker():
    assert costs.seconds(ASKED, ROUGH)["directions"] == 0
    projecting = replace(ASKED, learning=replace(LEARNING, public=100))
    spent = costs.seconds(projecting, ROUGH)["directions"]
    assert spent > 0
    assert costs.seconds(replace(projecting, holders=5), ROUGH)["directions"] == spent
    many = replace(ASKED, learning=replace(LEARNING, public=200))
    assert (
        costs.seconds(many, ROUGH)["directions"] > 2 * spent
    )  # inner products grow with the square
