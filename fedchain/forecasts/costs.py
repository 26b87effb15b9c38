"""Costs of a round: seconds by stage, and bytes, from a configuration and a machine's rates.

The model follows the simulator, in which one process plays all nodes: gradients, noise and signing
run side by side on all cores, and the rest one after the other; what every node would check is
checked once. Everything here is a pure function of two frozen records: the configuration and the
rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from fedchain.nodes.compute.hashing import attempts
from fedchain.nodes.holders.holder_pool import chunk_size, chunks_of

Method = Literal["segments", "layers", "vmap"]
"""How gradients are computed, as in ``learning.gradients``."""
BACKWARD = 3
"""Multiply-adds of a gradient for one of a forward pass: forward, errors, weights."""
DISK = "waiting for the disk"
"""Name of the stage in which a round waits for the ledger, if that takes longer than all else."""
MEASURED_TOGETHER = 100
"""Examples in a batch when the model is measured."""


@dataclass(frozen=True)
class Passes:
    """A pass of examples through a model: counts of operations, or, in rates, seconds of each."""

    starts: float
    """A start: the model is prepared for a holder or for a measurement."""
    calls: float
    """A call of a layer with a batch of examples."""
    products: float
    """A multiply-add."""
    numbers: float
    """A number of a gradient."""
    activations: float
    """A number in the output of a layer."""

    def seconds(self, counts: Passes) -> float:
        """Return the seconds of the counted pass at these rates.

        >>> Passes(1.0, 0.0, 1e-9, 0.0, 0.0).seconds(Passes(2.0, 5.0, 1e9, 0.0, 0.0))
        3.0
        """
        names = [field.name for field in fields(self)]
        return float(sum(getattr(self, name) * getattr(counts, name) for name in names))


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Seconds of a machine for each operation; ``fedchain doctor --calibrate`` measures them.

    Those of gradients, noise, quantising and checks are for all cores together.
    """

    cores: int
    """Cores on which the rates were measured."""
    gradients: Mapping[Method, Passes]
    """Gradients, by method."""
    forward: Passes
    """Measuring the model on held-out examples, on one core."""
    noise: float
    """A normal number drawn, scaled and added."""
    quantise: float
    """A number of a direction: norm, scaling, rounding."""
    sign: float
    """An Ed25519 signature, on one core."""
    verify: float
    """The check of a signature, on one core."""
    check: float
    """A number of a direction whose norm a node checks."""
    aggregate: float
    """A number of a direction in the exact l-nearest rule."""
    update: float
    """A number of the state (weights, moments) made by the update."""
    hash: float
    """A byte through SHA-256, on one core."""
    write: float
    """Arithmetic of a byte of the ledger on one core, which other threads cannot use meanwhile."""
    store: float
    """A byte written to the ledger and synced."""
    commit: float
    """A blob committed, apart from its bytes."""
    attempt: float
    """A nonce tried."""
    event: float
    """A message or a block delivered to one more node."""
    holder: float
    """All other work of a holder in a round: its key, proof, message, records."""
    round: float
    """All other work of a round."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gradients", MappingProxyType(dict(self.gradients)))


ROUGH = Rates(
    cores=2,
    gradients={
        "segments": Passes(8.9e-06, 1.6e-05, 6.2e-12, 2.2e-10, 1.2e-09),
        "layers": Passes(8.0e-06, 1.5e-04, 2.6e-12, 8.9e-10, 1.7e-09),
        "vmap": Passes(8.4e-06, 4.1e-04, 1.7e-11, 6.6e-10, 2.6e-09),
    },
    forward=Passes(1.4e-04, 2.1e-05, 9.9e-13, 0.0, 1.7e-09),
    noise=1.7e-09,
    quantise=6.9e-10,
    sign=4.2e-05,
    verify=6.7e-05,
    check=5.6e-10,
    aggregate=1.2e-09,
    update=1.3e-09,
    hash=5.3e-10,
    write=1.6e-09,
    store=2.1e-09,
    commit=1.0e-3,
    attempt=5.5e-07,
    event=5.3e-06,
    holder=2.8e-04,
    round=5.0e-3,
)
"""Rates of two cores of a server, for machines that were not measured."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Counts of what one holder computes in a round, and of one measurement of the model."""

    examples: float
    """Examples of one holder, n: its records, or the tiles that they are cut into."""
    dimension: int
    """Numbers of a gradient, d."""
    products: float
    """Multiply-adds of one example's forward pass."""
    activations: float
    """Numbers in the outputs of all layers for one example."""
    layers: int
    """Layers that an example goes through."""
    method: Method
    """How gradients are computed."""
    pieces: int
    """Batches of one holder's examples."""
    held_out: int
    """Examples on which the model is measured."""
    public: int = 0
    """Public records; their gradients give the subspace on which releases are projected."""

    @property
    def gradient(self) -> Passes:
        """Counts of one holder's gradient."""
        n, rows = self.examples, 1.0 if self.method == "segments" else self.examples
        return Passes(
            starts=1,
            calls=self.layers * self.pieces,
            products=n * BACKWARD * self.products,
            numbers=rows * self.dimension,
            activations=n * self.activations,
        )

    @property
    def directions(self) -> Passes:
        """Counts of the public records' gradients, one by one, and of their inner products."""
        m, d = self.public, self.dimension
        products = m * BACKWARD * self.products + m * m * d
        return Passes(m, m * self.layers, products, m * d, m * self.activations)

    @property
    def forward(self) -> Passes:
        """Counts of one measurement of the model."""
        n, calls = self.held_out, self.layers * math.ceil(self.held_out / MEASURED_TOGETHER)
        return Passes(1, calls, n * self.products, 0, n * self.activations)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A round as numbers: everything that its cost depends on."""

    holders: int
    """Participants (holders or groups) of a round, K."""
    learning: Learning
    """What each holder computes."""
    private: bool
    """Whether noise is drawn."""
    compute: int
    """Compute nodes, C."""
    workers: int
    """Workers of the engine, which compute side by side, P."""
    storage: int
    """Bytes of one number of a direction."""
    path: int
    """Hashes of the proof of a registered identity; 0 if identities are open."""
    state: int
    """Arrays of d numbers in the state: weights, and the moments of the update."""
    weights: int
    """Bytes of one number of the weights; moments have 8."""
    difficulty_bits: int
    """Leading zero bits of a block's hash."""
    measured_every: int
    """Rounds between two measurements."""
    members: int = 1
    """Holders whose gradients are in a message, m: those of a group, or 1."""

    @property
    def dimension(self) -> int:
        """Numbers of a gradient, d."""
        return self.learning.dimension


def seconds(asked: Configuration, rates: Rates) -> dict[str, float]:
    """Return the wall time of a round by stage, in seconds; their sum is the time of the round.

    With K holders of n examples, d numbers, P workers and M multiply-adds of a forward pass:
    gradients K (start + calls + 3 n M + numbers + n activations), with the idle end of the last
    chunk; directions: the gradients of public records, on every worker; noise K d; quantising
    K d; hashing K d bytes / P; signing K / P; checks K d and K / P verifications, once for all
    nodes; aggregation K d; update and its hash: arrays of the state times d; 2^bits tries and
    more (``attempts``); deliveries; measuring, which takes one of the P cores from the next
    gradients. With groups of m there are K m gradients and noises, and K m (m - 1) masks, each
    of which costs about a signature and a hash of 8 d bytes. The ledger is written while the
    round goes on: its arithmetic takes one of the P cores, and the round waits for the disk only
    for as long as writing takes longer than all other stages.

    Args:
        asked: the round.
        rates: of the machine.
    """
    many, d, k = asked.holders * asked.dimension, asked.dimension, asked.holders
    m = asked.members
    cores = min(asked.workers, rates.cores)
    slower = rates.cores / cores
    found = rates.gradients[asked.learning.method]
    gradient = found.seconds(asked.learning.gradient)
    spent = {
        "gradients": slower * idle(asked, cores) * k * m * gradient,
        # Every worker computes the directions itself, on its own core.
        "directions": rates.cores * found.seconds(asked.learning.directions),
        "noise": slower * many * m * rates.noise * asked.private,
        "masks": k * m * (m - 1) * (8 * d * rates.hash + rates.sign) / cores,
        "quantise": slower * many * rates.quantise,
        "hash and sign": k * (d * asked.storage * rates.hash + rates.sign) / cores,
        "check": slower * many * rates.check + k * rates.verify / cores,
        "aggregation": many * rates.aggregate,
        "update": asked.state * d * rates.update + state_bytes(asked) * rates.hash,
        "work": attempts(asked.difficulty_bits, asked.compute) * rates.attempt,
        "events": deliveries(asked) * rates.event,
        "evaluation": rates.forward.seconds(asked.learning.forward) / asked.measured_every / cores,
        "writing": blob_bytes(asked) * rates.write / cores,
        "rest": k * rates.holder + rates.round,
    }
    written = blob_bytes(asked) * rates.store + blobs(asked) * rates.commit
    return {**spent, DISK: max(0.0, written - sum(spent.values()))}


def chunks(holders: int, learning: Learning, members: int = 1) -> int:
    """Return the number of chunks into which the engine cuts a cohort."""
    most = chunk_size(learning.method, learning.dimension, members)
    return len(chunks_of(range(holders), most))


def idle(asked: Configuration, workers: int) -> float:
    """Return the factor by which a cohort takes longer if the workers do not divide its chunks."""
    count = chunks(asked.holders, asked.learning, asked.members)
    return math.ceil(count / workers) * workers / count


def deliveries(asked: Configuration) -> int:
    """Return the number of deliveries of messages and blocks in a round.

    Every message goes to every compute node, and every block to all other nodes.
    """
    k, c = asked.holders, asked.compute
    return k * c + (c - 1 + k)


MESSAGE = 223
"""Bytes of a message without its direction and proof; the mechanism's name has 8 letters."""
PROOF, HASH, HEADER, LENGTH = 17, 32, 264, 4
"""Bytes of a proof without its hashes, of a hash, of a header, of the length before an item."""
ROW, LINE = 207, 341
"""Measured bytes of a message in the database with its indexes, and in the events."""
BLOCK_ROW, ROUND_LINE = 590, 600
"""Measured bytes of a block in the database with its indexes, and of a round in the events."""


def message_bytes(asked: Configuration) -> int:
    """Return the bytes of a message: keys, declaration, signature, proof, and d integers."""
    proof = PROOF + HASH * asked.path if asked.path else 0
    return MESSAGE + proof + asked.dimension * asked.storage


def block_bytes(asked: Configuration) -> int:
    """Return the bytes of a block on the network: its header and its messages."""
    return HEADER + LENGTH + asked.holders * (LENGTH + message_bytes(asked))


def state_bytes(asked: Configuration) -> int:
    """Return the bytes of the state: weights and the memory of the update."""
    return asked.dimension * (asked.weights + 8 * (asked.state - 1))


def blobs(asked: Configuration) -> int:
    """Return how many new blobs a block has: messages, weights, and the memory of the update.

    The memory of plain gradient descent is empty; this blob is the same in every block.
    """
    return 2 if asked.state == 1 else 3


def blob_bytes(asked: Configuration) -> int:
    """Return the bytes that a block adds to the ledger's blobs."""
    return block_bytes(asked) - HEADER + state_bytes(asked)


def header_and_weights(asked: Configuration) -> int:
    """Return the bytes that a holder fetches: a header, and the weights to which it commits."""
    return HEADER + asked.weights * asked.dimension


def wire_bytes(asked: Configuration) -> dict[str, int]:
    """Return the bytes that a round moves between nodes, if each were a machine.

    A holder sends its message to every compute node, and fetches a header and the weights to
    which it commits. The compute node that found the block sends it to the other compute nodes,
    with all messages, since they recompute it.

    Args:
        asked: the round.

    Returns:
        Bytes of one message and of one block; bytes that a holder and a compute node send or
        receive in a round; bytes of all nodes together.
    """
    k, c = asked.holders, asked.compute
    message, block = message_bytes(asked), block_bytes(asked)
    fetched = header_and_weights(asked)
    return {
        "message": message,
        "block": block,
        "holder": c * message + fetched,
        "compute node": k * message + (block if c > 1 else 0) + k * fetched // c,
        "all": k * (c * message + fetched) + (c - 1) * block,
    }


def stored_bytes(asked: Configuration) -> int:
    """Return the bytes that a round adds to the run folder: blobs, database rows, events."""
    k = asked.holders
    return blob_bytes(asked) + k * (ROW + LINE) + BLOCK_ROW + ROUND_LINE
