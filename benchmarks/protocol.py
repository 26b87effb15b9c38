"""Time of each part of a round's protocol, beside the least time that the part needs.

    python benchmarks/protocol.py [--holders 50] [--dimension 50890] [--rounds 20] [--json FILE]

Each part is timed next to its floor, the least time, in the same round. For the floor, bytes are
only hashed, the library alone makes and checks signatures, and plain files are written and synced
in the same folder. Parts without a floor might take no time at all. All but the disk runs in one
thread.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fedchain.ledger.chain.block import (
    BLOCK_VERSION,
    Block,
    Header,
    header_prefix,
    messages_root,
    sign_block,
)
from fedchain.ledger.chain.canonical import canonical_text
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.codec import quantise
from fedchain.ledger.chain.crypto import Tree, is_signature, public_key_of, sign
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import (
    MESSAGE_VERSION,
    Declaration,
    Message,
    encode_message,
    identity_leaf,
    identity_of,
    sign_message,
)
from fedchain.ledger.chain.rules import Rules, genesis
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import compact_from_target, search, target_from_compact
from fedchain.ledger.storage.store import Store
from fedchain.machine import keep_freed_memory
from fedchain.transforms import lengths

NODES = 3
MINER = bytes(32)
EASY = compact_from_target(2**255)
PARTS = {
    "hash": "directions hashed, once for payload, id and content",
    "sign": "signatures made",
    "check": "messages checked: signature, norm, identity",
    "mempool": f"messages taken in by {NODES} compute nodes, checked before",
    "state": "weights hashed by the node that makes the block",
    "block": f"the block checked by {NODES} compute nodes, its step not counted",
    "append": "the block handed to the store",
    "disk": "the block on disk, in the background",
    "encode": "messages encoded into one piece, as for a wire; not needed in a simulation",
}
NOT_IN_A_ROUND = ("disk", "encode")
"""Parts that the total leaves out; the disk, for example, works during the next gradients."""

Times = dict[str, list[float]]


class Federation:
    """Holders with random directions, compute nodes that share verdicts, and a store."""

    def __init__(self, holders: int, dimension: int, rounds: int, folder: Path) -> None:
        """Make keys, rules and genesis."""
        self.random = np.random.default_rng(0)
        self.secrets = [
            [hashlib.sha256(b"%d:%d" % (r, h)).digest() for h in range(holders)]
            for r in range(rounds + 1)
        ]
        self.keys = [[public_key_of(secret) for secret in row] for row in self.secrets]
        places = [(r, identity_of(k), 60) for r, row in enumerate(self.keys) for k in row]
        self.tree = Tree([identity_leaf(*place) for place in places])
        self.holders, self.dimension = holders, dimension
        agreed = {"groups": None, "momentum": None, "privacy": {}, "task": {}, "threat": None}
        self.rules = Rules(
            mechanism="gaussian",
            noise=(3.5,),
            clip=0.1,
            agreed=canonical_text(agreed),
            records=(60,) * holders,
            commitment=bytes(32),
            aggregation='{"kind":"mean"}',
            update='{"kind":"gradient_descent"}',
            dimension=dimension,
            layout=(("weight", (dimension,)),),
            dtype="float64",
            holders=holders,
            identity="registered",
            identity_root=self.tree.root,
            quorum=1,
            rounds=rounds,
            storage="int16",
            max_norm=100.0,
            work="hashcash",
            bits=EASY,
            interval_ms=1000,
            retarget_window=0,
            max_ahead_ms=5000,
        )
        first = self.state()
        block = genesis(self.rules, first)
        self.chain_id = block.header.hash
        self.after = first
        verdict_cache = VerdictCache()
        self.chains = [
            Chain(
                genesis_block=block,
                genesis_state=first,
                rules=self.rules,
                transition=lambda *_: self.after,
                verdict_cache=verdict_cache,
            )
            for _ in range(NODES)
        ]
        self.pools = [
            Mempool(self.rules, self.chain_id, c.height_of, verdict_cache) for c in self.chains
        ]
        self.verdict_cache = verdict_cache
        self.store = Store.create(folder, self.rules, block, first)

    def state(self) -> State:
        """Return a state with new random weights."""
        return State(self.random.normal(size=self.dimension), {})

    def unsigned(self, number: int) -> list[Message]:
        """Return the messages of a round, not hashed and not signed."""
        made = []
        for holder in range(self.holders):
            row = self.random.normal(size=(1, self.dimension))
            ((exponent, direction),) = quantise(row, lengths(row), "int16")
            made.append(
                Message(
                    version=MESSAGE_VERSION,
                    chain_id=self.chain_id,
                    parent=self.chains[0].head,
                    round=number,
                    public_key=self.keys[number][holder],
                    proof=self.tree.proof(number * self.holders + holder),
                    exponent=exponent,
                    direction=direction,
                    norm=1.0,
                    declaration=Declaration(
                        mechanism="gaussian", noise_step=0, noise=3.5, clip=0.1, records=60
                    ),
                )
            )
        return made

    def block(self, messages: tuple[Message, ...]) -> Block:
        """Return the mined block that carries the messages and leads to the state ``after``."""
        below = self.chains[0].link(self.chains[0].head).header
        header = Header(
            version=BLOCK_VERSION,
            chain_id=self.chain_id,
            height=below.height + 1,
            parent=self.chains[0].head,
            time_ms=below.time_ms + 1000,
            bits=EASY,
            address=identity_of(public_key_of(MINER)),
            messages_root=messages_root(messages),
            weights_hash=self.after.weights_hash,
            memory_hash=self.after.memory_hash,
            rules_hash=self.rules.hash,
            nonce=0,
        )
        nonce = search(header_prefix(header), 0, 10**6, target_from_compact(EASY))
        assert nonce is not None
        return sign_block(Block(replace(header, nonce=nonce), messages), MINER)


def main() -> None:
    """Play the rounds, and print one line per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--holders", type=int, default=50, help="messages of a block, at least 1")
    parser.add_argument("--dimension", type=int, default=50_890, help="entries of a direction")
    parser.add_argument("--rounds", type=int, default=20, help="rounds to take the median of")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if not set")
    parser.add_argument("--json", type=Path, help="file for the milliseconds")
    asked = parser.parse_args()
    keep_freed_memory()
    spent: Times = defaultdict(list)
    floor: Times = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        ledger = Path(folder) / "ledger"
        federation = Federation(asked.holders, asked.dimension, asked.rounds, ledger)
        with federation.store:
            for number in range(1, asked.rounds + 1):
                play(federation, number, spent)
                measure_floors(federation, number, ledger, floor)
    told = table(spent, floor)
    for part, row in told.items():
        least = f"{row['floor']:7.3f} ms, {row['ratio']:5.2f} times" if row["floor"] else ""
        print(
            f"{part:8} {row['ms']:8.3f} ms a round; floor {least or '0':26} {PARTS.get(part, '')}"
        )
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


def play(federation: Federation, number: int, spent: Times) -> None:
    """Play one round, and time each part."""
    made, federation.after = federation.unsigned(number), federation.state()
    with timed(spent, "hash"):
        for message in made:
            _ = message.payload
    with timed(spent, "sign"):
        made = list(map(sign_message, made, federation.secrets[number]))
    parent, rules = federation.chains[0].head, federation.rules
    with timed(spent, "check"):
        for message in made:
            federation.verdict_cache.check_message(
                message, rules, federation.chain_id, parent, number
            )
    with timed(spent, "mempool"):
        for pool in federation.pools:
            for message in made:
                pool.add(message)
            pool.forget_below(number - 8)
        messages = federation.pools[0].messages(parent)
    with timed(spent, "state"):
        _ = federation.after.weights_hash
    block = federation.block(messages)
    with timed(spent, "block"):
        for chain in federation.chains:
            chain.add(block, block.header.time_ms)
    with timed(spent, "disk"):
        with timed(spent, "append"):
            federation.store.append(block, federation.after, block.header.time_ms)
        federation.store.flush()
    with timed(spent, "encode"):
        for message in messages:
            encode_message(message)


def measure_floors(federation: Federation, number: int, folder: Path, floor: Times) -> None:
    """Time the unavoidable operations alone, on other bytes of the same sizes."""
    rows = [message.direction + np.int16(1) for message in federation.unsigned(number)]
    weights = federation.state().weights
    text, secrets, keys = bytes(42), federation.secrets[number], federation.keys[number]
    with timed(floor, "hash"):
        for row in rows:
            hashlib.sha256(row.data).digest()
    with timed(floor, "sign"):
        signatures = [sign(secret, text) for secret in secrets]
    with timed(floor, "check"):
        for key, signature in zip(keys, signatures, strict=True):
            is_signature(key, signature, text)
    with timed(floor, "state"):
        hashlib.sha256(weights.data).digest()
    with timed(floor, "disk"), (folder / "plain").open("wb", buffering=0) as file:
        for row in (*rows, weights):
            file.write(row.data)
        os.fsync(file.fileno())
    with timed(floor, "encode"):
        for row in rows:
            row.tobytes()
    (folder / "plain").unlink()


@contextmanager
def timed(times: Times, part: str) -> Iterator[None]:
    """Measure the time of the code inside, in milliseconds."""
    start = time.perf_counter()
    yield
    times[part].append(1000 * (time.perf_counter() - start))


def table(spent: Times, floor: Times) -> dict[str, dict[str, Any]]:
    """Return the milliseconds of a round, the floor, and their ratio, by part and in total."""
    median: Callable[[list[float]], float] = statistics.median
    told: dict[str, dict[str, Any]] = {
        p: {"ms": median(spent[p]), "floor": median(floor.get(p, [0.0]))} for p in PARTS
    }
    counted = [told[part] for part in PARTS if part not in NOT_IN_A_ROUND]
    told["total"] = {key: sum(row[key] for row in counted) for key in ("ms", "floor")}
    for row in told.values():
        row["ratio"] = row["ms"] / row["floor"] if row["floor"] else None
    return told


if __name__ == "__main__":
    main()
