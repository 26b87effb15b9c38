"""Threats on identities, replays, double messages, time and flooding, as a network meets them.

Each class is a row of the table of threats. What an attacker sends is put among the events of a
small simulation; what is asserted is the reason that the user is shown, and that the chain ends
where it would have ended without the attack.
"""

from __future__ import annotations

import functools
import gc
from collections import Counter
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from ledger_world import MINERS, make_world, mined, signed, step
from small_runs import simulate, small
from whole_numbers import WHOLE, whole_numbers

from fedchain.agreement import MAX_AHEAD_MS
from fedchain.ledger.chain.block import Block, Header
from fedchain.ledger.chain.crypto import InclusionProof, public_key_of
from fedchain.ledger.chain.mempool import Equivocation, Mempool
from fedchain.ledger.chain.message import Message, sign_message
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.nodes.compute.hashing import Effort
from fedchain.nodes.compute.incident_log import KEPT_REFUSALS, Refusal
from fedchain.nodes.holders.data_holder import Above, LightClient
from fedchain.nodes.holders.identity import Identities
from fedchain.randomness import digest
from fedchain.results import MessageRecord, RefusalRecord
from fedchain.simulation.setup import RunSetup, build_setup
from fedchain.timing import Stopwatch

SECRET = digest(0, "somebody else")
STRANGER = public_key_of(SECRET)
EARLY_S = 0.5
"""When attackers speak: before the first honest message is on its way."""
ROUNDS = 3
SENT_BY_OUTSIDER = MessageRecord(
    round=1,
    block="",
    holder=0,
    id="",
    norm=1.0,
    cosine=None,
    used=False,
    reason="late",
    epsilon=None,
    attack="outsider",
    late=True,
    members=1,
)


@dataclass
class Played:
    """A network that has heard an attacker out."""

    simulation: object
    reasons: list[tuple[int, str]]
    """Who refused what: the node, and the reason as ``inspect RUN refusals`` shows it."""

    @property
    def heads(self) -> set[bytes]:
        return {node.chain.head for node in self.simulation.compute_nodes}

    def carried(self, height: int) -> tuple[Message, ...]:
        chain = self.simulation.chain
        return chain.block(chain.path()[height]).messages


def played(folder, *sent, silent: int | None = None, **overrides) -> Played:
    """Run a small scenario in which somebody sends (time, compute nodes, payload) besides.

    Args:
        silent: a holder that says nothing itself.
    """
    made = simulate(small(ROUNDS, **{"attacks": [], "privacy": WHOLE, **overrides}), folder)
    for time_s, nodes, payload in sent:
        for node in nodes:
            made.simulation._transport.queue.put(time_s, node, payload)
        if isinstance(payload, Message):
            name, parent = payload.id.hex(), payload.parent.hex()
            told = replace(SENT_BY_OUTSIDER, id=name, block=parent)
            made.simulation._recorder.note([told])
    if silent is not None:
        service, release = made.simulation._releases, made.simulation._releases.release
        service.release = lambda who, *at: () if who == silent else release(who, *at)
    list(made.simulation.rounds())
    told = [said for _, said in made.simulation.tracker.new()]
    reasons = [(said.node, said.reason) for said in told if isinstance(said, RefusalRecord)]
    made.close()
    return Played(made.simulation, reasons)


@pytest.fixture(scope="module", autouse=True)
def alike_on_any_processor():
    with whole_numbers():
        yield


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Return what happens when nobody attacks: the head, and the messages of every round."""
    found = played(tmp_path_factory.mktemp("honest"))
    (head,) = found.heads
    assert found.reasons == []
    made = [found.carried(height) for height in range(1, ROUNDS + 1)]
    MINERS.update({node.address: node._secret for node in found.simulation.compute_nodes})
    return SimpleNamespace(
        head=head, first=made[0][0], second=made[0][1], chain=found.simulation.chain
    )


@functools.cache
def set_up() -> RunSetup:
    return build_setup(small(ROUNDS, attacks=[], privacy=WHOLE))


def identities() -> Identities:
    return set_up().identities


def number_of(public_key: bytes) -> int:
    """Return the holder behind a key of round 1."""
    return next(k for k in range(10) if identities().of(k, 1).public_key == public_key)


def own(holder: int, like: Message, **changes: object) -> Message:
    """Return a message that a holder signs with its own registered key."""
    identity = identities().of(holder, 1)
    declared = replace(like.declaration, records=set_up().task.holders[holder].count)
    mine = {
        "public_key": identity.public_key,
        "proof": identity.proof,
        "declaration": declared,
        "signature": b"",
    }
    changes = {k: v(getattr(like, k)) if callable(v) else v for k, v in changes.items()}
    return sign_message(replace(like, **{**mine, **changes}), identity.secret)


OPEN = make_world(identity="open", identity_root=bytes(32))
ALL = range(3)
OTHER = {
    "version": (3, "version: is 3; must be 2"),
    "chain_id": (bytes(32), "chain_id: is 00000000; must be"),
    "parent": (bytes(32), "signature: is not that of the public key over these fields"),
    "round": (2, "round: is 2; must be 1"),
    "public_key": (STRANGER, "is not registered for round 1"),
    "proof": (None, "proof: is missing; identity"),
    "exponent": (3, "exponent: is 3; must be"),
    "direction": (lambda d: -d, "signature: is not that of the public key over these fields"),
    "norm": (1.0, "signature: is not that of the public key over these fields"),
    "declaration": (
        lambda said: replace(said, mechanism="other"),
        "mechanism: is 'other'; must be",
    ),
    "signature": (lambda s: bytes([s[0] ^ 1]) + s[1:], "signature: is not that of"),
}


class TestForgery:
    """Forged or bit-flipped signature, any field changed: rejected, the field named."""

    def test_every_field_of_a_message_is_tried(self):
        assert set(OTHER) == {field.name for field in fields(Message)}

    def test_a_message_with_another_field_is_refused_by_all_and_the_field_is_named(
        self, honest, tmp_path
    ):
        forged = {}
        for name, (value, reason) in OTHER.items():
            other = value(getattr(honest.first, name)) if callable(value) else value
            forged[name] = (replace(honest.first, **{name: other}), reason)
        sent = [(EARLY_S, ALL, message) for message, _ in forged.values()]
        found = played(tmp_path, *sent)
        for name, (message, reason) in forged.items():
            told = [
                node
                for node, said in found.reasons
                if reason in said and message.id.hex()[:8] in said
            ]
            assert told == [0, 1, 2], name
        assert len(found.reasons) == 3 * len(forged)
        assert found.heads == {honest.head}

    def test_any_flipped_bit_of_a_signature_is_enough(self, honest, tmp_path):
        flipped = [
            bytes(
                byte ^ (1 << bit % 8 if place == bit // 8 else 0)
                for place, byte in enumerate(honest.first.signature)
            )
            for bit in range(0, 512, 37)
        ]
        sent = [(EARLY_S, ALL, replace(honest.first, signature=value)) for value in flipped]
        found = played(tmp_path, *sent)
        assert len(found.reasons) == 3 * len(flipped)
        assert all("signature: is not that of the public key" in said for _, said in found.reasons)
        assert found.heads == {honest.head}

    def test_other_messages_under_a_good_header_do_not_void_the_block(self, honest, tmp_path):
        block = honest.chain.block(honest.chain.path()[2])
        bad = replace(block.messages[0], signature=bytes(64))
        stripped = signed(block.header, (bad, *block.messages[1:]))
        found = played(tmp_path, (EARLY_S, ALL, stripped))
        assert [node for node, _ in found.reasons] == [0, 1, 2]
        assert all("messages_root: is not the root" in said for _, said in found.reasons)
        assert found.heads == {honest.head}


class TestReplay:
    """Replay in the same round, another round, on another fork, in another run: no second count."""

    def test_in_the_same_round_it_counts_once_and_nobody_is_accused(self, honest, tmp_path):
        again = [(time_s, ALL, honest.first) for time_s in (EARLY_S, EARLY_S, 1.2)]
        found = played(tmp_path, *again)
        assert found.reasons == []
        assert found.heads == {honest.head}

    def test_in_a_later_round_it_is_in_no_block_again(self, honest, tmp_path):
        begins = honest.chain.link(honest.chain.path()[2]).header.time_ms / 1000.0
        found = played(tmp_path, (begins - EARLY_S, ALL, honest.first))
        assert found.heads == {honest.head}
        assert (
            Counter(m.id for height in range(1, ROUNDS + 1) for m in found.carried(height))[
                honest.first.id
            ]
            == 1
        )

    @pytest.mark.parametrize(
        ("place", "reason"),
        [
            ({"round": 2}, "round: is 2; must be 1"),
            ({"parent": b"\x07" * 32}, "signature: is not that of the public key"),
            ({"parent": b"\x07" * 32, "round": 2}, "is not registered for round 2"),
            ({"chain_id": b"\x07" * 32}, "chain_id: is 07070707; must be"),
        ],
        ids=["another round", "another fork", "a fork of another round", "another run"],
    )
    def test_with_another_place_written_in_it_is_refused(self, honest, tmp_path, place, reason):
        found = played(tmp_path, (EARLY_S, ALL, replace(honest.first, **place)))
        assert [node for node, said in found.reasons if reason in said] == [0, 1, 2]
        assert found.heads == {honest.head}


class TestCopy:
    """A copy of another's gradient under one's own name: at most one counts."""

    @pytest.mark.parametrize("first", ["the copy", "the original"])
    def test_only_the_first_of_them_is_carried_and_the_other_is_told_whose_it_repeats(
        self, honest, tmp_path, first
    ):
        victim, thief = honest.first, number_of(honest.second.public_key)
        copy = own(thief, like=victim, norm=0.5 * victim.norm)
        assert copy.payload == victim.payload
        order = [copy, victim] if first == "the copy" else [victim, copy]
        sent = [(EARLY_S, ALL, message) for message in order]
        found = played(tmp_path, *sent, silent=thief)
        repeats = f"direction: repeats the payload of message {order[0].id.hex()[:8]}"
        assert {node for node, said in found.reasons if repeats in said} == {0, 1, 2}
        counted = [m for m in found.carried(1) if m.payload == victim.payload]
        assert [m.id for m in counted] == [order[0].id]
        assert len(found.heads) == 1


class TestEquivocation:
    """Two messages of one identity in a round: all nodes end with the same set."""

    @pytest.mark.parametrize("orders", ["the same", "opposite"])
    def test_both_are_dropped_whatever_came_first_and_the_chains_agree(
        self, honest, tmp_path, orders
    ):
        first = honest.first
        second = own(number_of(first.public_key), like=first, norm=2.0 * first.norm)
        turned = [2] if orders == "opposite" else []
        sent = []
        for node in ALL:
            pair = [second, first] if node in turned else [first, second]
            sent += [(EARLY_S, [node], pair[0]), (EARLY_S + 0.1, [node], pair[1])]
        found = played(tmp_path, *sent)
        assert len(found.heads) == 1
        keys = [message.public_key for message in found.carried(1)]
        assert first.public_key not in keys
        assert len(keys) == 9
        accused = [said for _, said in found.reasons if "both are dropped" in said]
        assert len(accused) == 3
        assert all("identity: has sent message" in said for said in accused)
        late = {said.split(": ", 1)[1] for _, said in found.reasons if said not in accused}
        assert late == {"identity: has sent two messages already"}


SYBIL = {"kind": "sign_flip", "holders": [0], "names": 20}


class TestSybils:
    """Sybils: blocked with registered identities; the capture shown with open ones."""

    def test_with_registered_identities_each_made_up_name_is_refused_and_told(self, tmp_path):
        found = played(tmp_path / "many", attacks=[SYBIL])
        single = played(tmp_path / "one", attacks=[{**SYBIL, "names": 1}])
        assert found.heads == single.heads
        assert single.reasons == []
        assert len(found.reasons) >= 3 * 19 * ROUNDS
        for _, said in found.reasons:
            assert "proof: is missing; identity" in said
            assert "must be registered for round" in said

    def test_with_open_identities_the_first_to_speak_fills_every_block(self, tmp_path):
        open_ = {"nodes.identity": "open", "aggregation": {"kind": "median"}}
        made = [
            played(tmp_path / str(names), attacks=[{**SYBIL, "names": names}], **open_)
            for names in (1, 20)
        ]
        alone, many = made
        liar = [
            {name for name, told in found.simulation._recorder._released.items() if told.attack}
            for found in made
        ]
        for height in range(1, ROUNDS + 1):
            by_liar = [
                sum(message.id.hex() in names for message in found.carried(height))
                for found, names in zip(made, liar, strict=True)
            ]
            assert by_liar[0] == 1
            assert by_liar[1] == len(many.carried(height))
        assert alone.reasons == many.reasons == []
        steps = [
            found.simulation.blocks.state(found.simulation.chain.path()[1]).weights
            for found in made
        ]
        assert alone.heads != many.heads
        assert np.dot(*steps) < 0.0  # the step goes the other way


class TestFlooding:
    """Pool flooding: NaN, a huge s, a wrong size are dropped at the door, and memory is bounded."""

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"norm": float("nan")}, "norm: is nan; must be above 0 and at most 1000000000.0"),
            ({"norm": float("inf")}, "norm: is inf; must be above 0 and at most 1000000000.0"),
            ({"norm": 1e300}, "norm: is 1e+300; must be above 0 and at most 1000000000.0"),
            ({"norm": -1.0}, "norm: is -1.0; must be above 0"),
            ({"direction": np.ones(32, np.int16)}, "direction: has 32 entries; must have 31"),
            ({"direction": np.ones(10**6, np.int16)}, "direction: has 1000000 entries; must"),
            ({"direction": np.ones(31, np.int32)}, "direction: is stored as int32; must be int16"),
            ({"direction": np.zeros(31, np.int16)}, "direction: norm is 0.0; must be"),
            ({"direction": np.full(31, 32767, np.int16)}, "direction: norm is"),
            ({"exponent": 250}, "exponent: is 250; must be"),
            ({"declaration": lambda said: replace(said, mechanism="x" * 65)}, "mechanism: is 'xxx"),
            (
                {"declaration": lambda said: replace(said, noise=float("nan"))},
                "noise: is nan; must",
            ),
            ({"declaration": lambda said: replace(said, clip=float("nan"))}, "clip: is nan; must"),
            ({"proof": InclusionProof(0, 2**63, ())}, "proof: "),
        ],
        ids=lambda value: value if isinstance(value, str) else next(iter(value)),
    )
    def test_what_no_block_may_carry_is_refused_though_it_is_well_signed(
        self, honest, tmp_path, changes, reason
    ):
        message = own(0, like=honest.first, **changes)
        found = played(tmp_path, (EARLY_S, ALL, message))
        assert [node for node, said in found.reasons if reason in said] == [0, 1, 2]
        assert found.heads == {honest.head}

    def test_the_memory_of_a_node_does_not_grow_with_what_is_sent_to_it(self, monkeypatch):
        # Room for the holders alone.
        monkeypatch.setattr("fedchain.ledger.chain.mempool.MOST_OPEN_BYTES", 1)
        chain = OPEN.chain()
        verdict_cache = VerdictCache(keep_verdicts=64)
        pool = Mempool(OPEN.rules, OPEN.chain_id, chain.height_of, verdict_cache)
        effort = Effort(1e6, 1.0, 10**6, lambda *_: 0.5)
        node = ComputeNode(
            node=0,
            secret=bytes(32),
            chain=chain,
            pool=pool,
            rules=OPEN.rules,
            transition=step,
            effort=effort,
            recall=lambda *_: None,
            watch=Stopwatch(),
        )
        client = LightClient(OPEN.genesis.header, keep=16)
        model = OPEN.message(0, OPEN.chain_id, 1)
        block = OPEN.block(chain)

        def kept_after(rounds: range) -> Counter:
            for number in rounds:
                for junk in junk_of(model, block, number):
                    node.receive(junk, 1.0)
                    if isinstance(junk, Block):
                        client.add(junk.header)
            gc.collect()
            return Counter(type(thing) for thing in gc.get_objects() if type(thing) in BULKY)

        full = kept_after(range(500))  # enough for every notebook, shelf and pool to be full
        assert kept_after(range(500, 700)) - full == Counter()
        assert node.incidents.refused > 5 * 700
        assert len(node.incidents.refusals) == KEPT_REFUSALS
        node.receive(block, 3.0)
        assert chain.head == block.header.hash


BULKY = {Message, Block, Header, Equivocation, Refusal, Above}


def junk_of(model: Message, block: Block, number: int) -> list[Message | Block]:
    """Return one of everything that costs its sender nothing to make, well signed."""
    secret, noise = digest(number, "junk"), digest(number, "noise")
    mine = {"public_key": public_key_of(secret), "signature": b""}
    places = [{}, {"parent": noise, "round": 1 + number}, {"norm": float("nan")}]
    pairs = [
        replace(model, **{**mine, "norm": norm}, **place)
        for place in places[:2]
        for norm in (1.0, 2.0)
    ]
    header = replace(block.header, weights_hash=noise)
    headers = [header, replace(header, parent=noise), replace(header, time_ms=10**12)]
    return [
        *(sign_message(message, secret) for message in pairs),
        sign_message(replace(model, **mine, **places[2]), secret),
        *(signed(made, block.messages) for made in headers),
        signed(block.header, block.messages[: number % len(block.messages)]),
    ]


class TestWrongWeights:
    """Wrong weights, by one unit in the last place: the block is invalid everywhere."""

    @pytest.mark.parametrize("what", ["weights", "memory"])
    def test_not_one_bit_of_the_model_is_chosen_by_who_makes_the_block(
        self, honest, tmp_path, what
    ):
        block = honest.chain.block(honest.chain.path()[1])
        state = honest.chain.state(honest.chain.path()[1])
        arrays = {"": state.weights, **state.memory}
        chosen = "" if what == "weights" else max(state.memory, key=lambda k: state.memory[k].size)
        nudged = arrays[chosen].copy()
        nudged[-1] = np.nextafter(nudged[-1], np.inf)
        weights, *_ = {**arrays, chosen: nudged}.values()
        after = State(weights, {k: nudged if k == chosen else v for k, v in state.memory.items()})
        hashes = {"weights_hash": after.weights_hash, "memory_hash": after.memory_hash}
        assert getattr(block.header, f"{what}_hash") != hashes[f"{what}_hash"]
        wrong = signed(mined(replace(block.header, **hashes)), block.messages)
        found = played(tmp_path, (EARLY_S, ALL, wrong))
        reasons = [said for _, said in found.reasons]
        assert len(reasons) == 3
        assert all(f"(height 1): {what}_hash: " in said for said in reasons)
        assert found.heads == {honest.head}


class TestCensorship:
    """Censorship: the quorum bounds it."""

    @pytest.mark.parametrize(("quorum", "left_out"), [(1.0, 0), (0.9, 1), (0.5, 5)])
    def test_no_block_leaves_out_more_than_the_quorum_lets_it(self, tmp_path, quorum, left_out):
        censor = {"kind": "censorship", "nodes": [0, 1, 2], "holders": list(range(10))}
        found = played(tmp_path, attacks=[censor], **{"ledger.quorum": quorum})
        for height in range(1, ROUNDS + 1):
            assert len(found.carried(height)) == 10 - left_out
        assert found.reasons == []


class TestTime:
    """Time games: above the median of eleven, at most the limit ahead of each node's clock."""

    def test_a_block_between_two_clocks_divides_nobody_for_long(self, honest, tmp_path):
        """One node hears a block a moment before its time has come, the others a moment after."""
        # genesis - first - ..
        #    |
        #    +- made     too early for node 0, in time for nodes 1 and 2
        first = honest.chain.block(honest.chain.path()[1])
        ahead_ms = int(1000.0 * EARLY_S) + MAX_AHEAD_MS
        time_ms = ahead_ms + 50
        made = signed(mined(replace(first.header, time_ms=time_ms)), first.messages)
        sent = [(EARLY_S, [0], made), (EARLY_S + 0.1, [1, 2], made)]
        found = played(tmp_path, *sent)
        reason = f"time_ms: is {time_ms}; must be above 0 and at most {ahead_ms}"
        assert [(node, reason in said) for node, said in found.reasons] == [(0, True)]
        assert len(found.heads) == 1
