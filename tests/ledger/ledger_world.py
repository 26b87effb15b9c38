"""A tiny federation in plain numpy: holders that sign, a step, and blocks that are mined."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fedchain.ledger.chain.block import (
    BLOCK_VERSION,
    Block,
    Header,
    header_prefix,
    messages_root,
    sign_block,
)
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.codec import quantise
from fedchain.ledger.chain.crypto import Tree, public_key_of
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import (
    MESSAGE_VERSION,
    Declaration,
    Message,
    identity_leaf,
    identity_of,
    sign_message,
)
from fedchain.ledger.chain.rules import Rules, genesis
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import compact_from_target, search, target_from_compact
from fedchain.ledger.storage.store import Store

D, HOLDERS, ROUNDS, RECORDS = 12, 4, 30, 200
AGREED = (
    '{"groups":null,"momentum":null,"privacy":{"delta":0.00001,"epsilon":4,"releases":33},'
    '"task":{"kind":"digits"},"threat":null}'
)
EASY = compact_from_target(2**252)
LATE = 10**6
"""A time, in milliseconds, at which no block of these tests is too early."""


def secret(holder: int, number: int) -> bytes:
    return hashlib.sha256(b"%d:%d" % (holder, number)).digest()


@cache
def identities() -> Tree:
    keys = [(r, public_key_of(secret(h, r))) for h, r in places()]
    return Tree(identity_leaf(r, identity_of(key), RECORDS) for r, key in keys)


@cache
def places() -> list[tuple[int, int]]:
    return [(h, r) for r in range(1, ROUNDS + 1) for h in range(HOLDERS)]


def declared(**changes: object) -> Declaration:
    said = Declaration(mechanism="gaussian", noise_step=0, noise=3.5, clip=0.1, records=RECORDS)
    return replace(said, **changes)


def make_rules(**changes: object) -> Rules:
    if changes.get("identity") == "open":
        changes = {"records": (), **changes}
    rules = Rules(
        mechanism="gaussian",
        noise=(3.5,),
        clip=0.1,
        agreed=AGREED,
        records=((RECORDS, HOLDERS),),
        commitment=bytes(range(32)),
        aggregation='{"kind":"mean"}',
        update='{"kind":"momentum"}',
        dimension=D,
        layout=(("weight", (2, 5)), ("bias", (2,))),
        dtype="float64",
        holders=HOLDERS,
        identity="registered",
        identity_root=identities().root,
        quorum=2,
        rounds=ROUNDS,
        storage="int16",
        max_norm=100.0,
        work="hashcash",
        bits=EASY,
        interval_ms=1000,
        retarget_window=0,
        max_ahead_ms=5000,
    )
    return replace(rules, **changes)


def step(state: State, messages: tuple[Message, ...]) -> State:
    """Momentum over the mean of the restored directions, in the order of the messages."""
    total = np.zeros(D)
    for message in messages:
        total = total + message.direction * message.norm / 2**message.exponent
    velocity = 0.9 * state.memory.get("velocity", np.zeros(D)) + total / len(messages)
    memory = {"velocity": velocity, "step": state.memory.get("step", np.zeros(())) + 1.0}
    return State(state.weights - 0.1 * velocity, memory)


def first_state() -> State:
    return State(np.linspace(-1, 1, D), {"velocity": np.zeros(D), "step": np.zeros(())})


@dataclass
class World:
    rules: Rules
    state: State
    genesis: Block

    @property
    def chain_id(self) -> bytes:
        return self.genesis.header.hash

    def chain(self, verdict_cache: VerdictCache | None = None, transition=step, **rest) -> Chain:
        return Chain(
            genesis_block=self.genesis,
            genesis_state=self.state,
            rules=self.rules,
            transition=transition,
            verdict_cache=verdict_cache or VerdictCache(),
            **rest,
        )

    def pool(self, chain: Chain, verdict_cache: VerdictCache | None = None) -> Mempool:
        return Mempool(self.rules, self.chain_id, chain.height_of, verdict_cache or VerdictCache())

    def message(self, holder: int, parent: bytes, number: int, **changes: object) -> Message:
        salt = changes.pop("salt", 0)
        draws = np.random.default_rng([holder, number, salt, *parent[:4]])
        gradient = draws.integers(-9, 10, changes.pop("dimension", self.rules.dimension))
        norm = math.sqrt(int(gradient @ gradient))  # whole numbers: the same on any processor
        storage = changes.pop("storage", self.rules.storage)
        ((exponent, direction),) = quantise(np.float64(gradient[None]), np.array([norm]), storage)
        key = secret(holder, number)
        place = places().index((holder, number))
        proof = identities().proof(place) if self.rules.identity == "registered" else None
        message = Message(
            version=MESSAGE_VERSION,
            chain_id=self.chain_id,
            parent=parent,
            round=number,
            public_key=public_key_of(key),
            proof=proof,
            exponent=exponent,
            direction=direction,
            norm=norm,
            declaration=declared(),
        )
        return sign_message(replace(message, **changes), key)

    def messages(self, parent: bytes, number: int, holders=range(HOLDERS)) -> tuple[Message, ...]:
        made = [self.message(h, parent, number) for h in holders]
        return tuple(sorted(made, key=lambda m: m.id))

    def block(
        self,
        chain: Chain,
        parent: bytes | None = None,
        holders=range(HOLDERS),
        messages: tuple[Message, ...] | None = None,
        miner: bytes = b"\x01",
        after: State | None = None,
        **changes: object,
    ) -> Block:
        parent = chain.head if parent is None else parent
        below = chain.link(parent).header
        if messages is None:
            messages = self.messages(parent, below.height + 1, holders)
        after = after or step(chain.state(parent), messages)
        header = Header(
            version=BLOCK_VERSION,
            chain_id=self.chain_id,
            height=below.height + 1,
            parent=parent,
            time_ms=below.time_ms + 1000,
            bits=chain.link(parent).bits,
            address=address_of_miner(miner),
            messages_root=messages_root(messages),
            weights_hash=after.weights_hash,
            memory_hash=after.memory_hash,
            rules_hash=self.rules.hash,
            nonce=0,
        )
        return signed(mined(replace(header, **changes)), messages)

    def grow(self, chain: Chain, blocks: int, store: Store | None = None) -> list[Block]:
        grown = []
        for _ in range(blocks):
            grown.append(self.block(chain))
            chain.add(grown[-1], grown[-1].header.time_ms)
            if store is not None:
                store.append(grown[-1], chain.state(chain.head), grown[-1].header.time_ms)
        return grown

    def branch(
        self, chain: Chain, parent: bytes, length: int, now: int = LATE, **by: object
    ) -> list[Block]:
        """Make blocks one on the other above a parent, let a chain hear them, and return them."""
        made = []
        for _ in range(length):
            made.append(self.block(chain, parent, **by))
            chain.add(made[-1], now)
            parent = name(made[-1])
        return made


def hear(chain: Chain, *blocks: Block, now: int = LATE) -> None:
    """Let a chain hear blocks at one moment, in this order."""
    for block in blocks:
        chain.add(block, now)


def hear_in_turn(chain: Chain, *blocks: Block, first: int = LATE) -> None:
    """Let a chain hear blocks in this order, each one a moment after the one before."""
    for later, block in enumerate(blocks):
        chain.add(block, first + later)


MINERS: dict[bytes, bytes] = {}
"""Secret key of each miner, by its address."""


def address_of_miner(miner: bytes) -> bytes:
    """Return the address of the miner with this name, whose key ``signed`` then knows."""
    key = hashlib.sha256(miner).digest()
    address = identity_of(public_key_of(key))
    MINERS[address] = key
    return address


def signed(header: Header, messages: tuple[Message, ...]) -> Block:
    """Return the block, signed by the miner whose address it names, or by a stranger."""
    return sign_block(Block(header, messages), MINERS.get(header.address, bytes(32)))


def mined(header: Header) -> Header:
    nonce = search(header_prefix(header), 0, 10**6, target_from_compact(header.bits))
    assert nonce is not None
    return replace(header, nonce=nonce)


def make_world(memory: bool = True, **changes: object) -> World:
    """Return a world; the first memory of a chain that is exported is empty."""
    rules, state = make_rules(**changes), first_state()
    state = state if memory else State(state.weights, {})
    return World(rules, state, genesis(rules, state))


def name(block: Block) -> bytes:
    return block.header.hash


def names(blocks: list[Block]) -> list[bytes]:
    return [name(block) for block in blocks]
