"""A chain: blocks by their hash, each with the state after it; and the file that holds it."""

import numpy as np

from . import blocks
from .aggregation import aggregate, read_rule
from .encoding import Bytes, Wrong, need, read_weights, sha, write_tensors
from .rules import read_rules
from .updates import next_state, read_update
from .work import adapted, work_of

FILE_VERSION = 2
MOST_RULES = 2**20
LATEST_MS = 2**63
RULE = "rule/"  # begins the names of what the aggregation rule remembers


def verify(data):
    """Check a file of `fedchain export`; return the number of blocks, the head and its height."""
    read = Bytes(data, "file")
    tag = read.take(10)
    need(tag == b"fedchain:x", f"file: tag: is {tag!r}; that of a chain is b'fedchain:x'")
    version = read.uint(2)
    old = "written by an older fedchain; run the scenario again, " * (version < FILE_VERSION)
    need(version == FILE_VERSION, f"file: is of format {version}: {old}this reads {FILE_VERSION}")
    text = bytes(read.piece(4, MOST_RULES, "rules"))
    rules = read_rules(text)
    dimension, dtype = rules["model.dimension"], rules["model.dtype"]
    weights = read_weights(read.piece(8, 8 * dimension + 64, "weights"), dimension, dtype)
    empty = read.piece(8, 4, "the first memory") == bytes(4)
    need(empty, "file: the first memory: must be empty")
    chain = Chain(rules, sha(b"fedchain:r", text), weights)
    count, head = read.uint(8), read.take(32)
    for _ in range(count):
        arrived_ms = read.uint(8)
        need(arrived_ms < LATEST_MS, f"file: a block that came at {arrived_ms} ms")
        chain.add(read.view(read.uint(8)), arrived_ms)
    digest = sha(memoryview(data)[: read.at])
    need(digest == read.take(32), "file: its last 32 bytes are not its digest")
    read.end()
    return count, head, chain.height_of(head)


class Chain:
    """A tree of blocks above genesis."""

    def __init__(self, rules, rules_hash, weights):
        self.rules, state = rules, (weights, {})
        self.rule = read_rule(rules["aggregation"], rules["ledger.identity"])
        self.updates = read_update(rules["update"])
        raw = genesis(rules["ledger.bits"], rules_hash, hashes_of(*state))
        self.id = sha(sha(raw))
        self.known = {self.id: (blocks.read_header(raw), 0, state)}

    def add(self, data, arrived_ms):
        """Check a block and everything that it says, and keep it with the state after it."""
        block = blocks.read_block(data, self.rules)
        header, name = block["header"], block["hash"]
        try:
            need(name not in self.known, "was there before")
            need(header["parent"] in self.known, "parent: is no block of this chain so far")
            latest = arrived_ms + self.rules["ledger.max_ahead_ms"]
            place = self.place_above(header["parent"])
            blocks.check_header(header, name, place, self.rules, latest)
            blocks.check_maker(block)
            blocks.check_messages(block, self.rules)
            _, work, state = self.known[header["parent"]]
            after = self.step(*state, block["messages"], header["height"])
            for key, got in zip(("weights_hash", "memory_hash"), hashes_of(*after), strict=True):
                need(header[key] == got, f"{key}: is not that of the step from these messages")
        except Wrong as error:
            raise blocks.named(error, block) from None
        self.known[name] = header, work + work_of(header["bits"]), after

    def step(self, weights, memory, messages, round_):
        """Return weights and memory after a block; without messages they stay as they are."""
        if not messages:
            return weights, memory
        with np.errstate(all="ignore"):
            of_rule = {k[len(RULE) :]: v for k, v in memory.items() if k.startswith(RULE)}
            of_update = {k: v for k, v in memory.items() if not k.startswith(RULE)}
            gradient, kept = aggregate(self.rule, messages, of_rule)
            wide = weights.astype(np.float64)
            wide, memory = next_state(self.updates, wide, of_update, gradient, round_)
            memory = {**memory, **{RULE + name: array for name, array in kept.items()}}
            return wide.astype(self.rules["model.dtype"]), memory

    def place_above(self, name):
        """Return what the chain asks of a header on this parent."""
        times = sorted(below["time_ms"] for below in self.down_from(name, blocks.MEDIAN_OF))
        return {
            "parent": self.known[name][0],
            "chain_id": self.id,
            "median_ms": times[len(times) // 2],
            "bits": self.bits_above(name),
        }

    def bits_above(self, name):
        """Return the target of the next block, in compact form: Bitcoin's retarget."""
        last, window = self.known[name][0], self.rules["ledger.retarget_window"]
        if not window or not last["height"] or (last["height"] + 1) % window:
            return last["bits"]
        first, expected = (
            self.down_from(name, window)[-1],
            window * self.rules["ledger.interval_ms"],
        )
        took = last["time_ms"] - first["time_ms"]
        return adapted(last["bits"], took, expected, self.rules["ledger.bits"])

    def down_from(self, name, count):
        """Return up to `count` headers, this one first, then the one below it, and so on."""
        found = []
        while name in self.known and len(found) < count:
            found.append(self.known[name][0])
            name = found[-1]["parent"]
        return found

    def height_of(self, head):
        """Return the height of the head, which must be a block with the most work."""
        need(head in self.known, "head: is no block of this chain")
        most = max(work for _, work, _ in self.known.values())
        need(self.known[head][1] == most, "head: has less work than another block")
        return self.known[head][0]["height"]


def genesis(bits, rules_hash, state_hashes):
    """Return the header's bytes of the block below all others: it follows from rules and state."""
    version, zero = blocks.VERSION.to_bytes(2, "big"), bytes(32)
    start = b"fedchain:h" + version + zero + bytes(8) + zero + bytes(8) + bits.to_bytes(4, "big")
    return start + zero + sha() + b"".join(state_hashes) + rules_hash + bytes(8)


def hashes_of(weights, memory):
    """Return the two hashes by which a header commits to a state."""
    return sha(write_tensors({"weights": weights})), sha(write_tensors(memory))
