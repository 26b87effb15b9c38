"""What a round costs: seconds by stage, from a configuration and the rates of a machine.

One process plays everybody, as fedchain does: gradients, noise and signing side by side on all
cores, then the rest one after the other; what every node would check is checked once. Everything
here is a pure function of two frozen records; where the rates come from is not its business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal, cast

from fedchain.engines.engine import cut
from fedchain.nodes.compute.hashing import attempts
from fedchain.nodes.holders.holder_pool import ReleaseRequest

Method = Literal["segments", "layers", "vmap"]
"""How gradients are found, as in ``learning.gradients``."""
BACKWARD = 3
"""Multiply-adds of a gradient over those of a forward pass: forward, errors, weights."""
DISK = "waiting for the disk"
"""What a round waits for where the ledger is slower than everything else."""
MEASURED_TOGETHER = 100
"""Examples that go through the model together when it is measured."""


@dataclass(frozen=True)
class Passes:
    """Examples on their way through a model: in a pass counts, in rates the seconds of each."""

    starts: float
    """Taking up a model: for a holder, or for a measurement."""
    calls: float
    """A layer that a batch of examples goes through."""
    products: float
    """A multiply-add."""
    numbers: float
    """A number of a gradient."""
    activations: float
    """A number that one layer hands to the next."""

    def seconds(self, counts: Passes) -> float:
        """Return what the counted pass takes at these rates.

        >>> Passes(1.0, 0.0, 1e-9, 0.0, 0.0).seconds(Passes(2.0, 5.0, 1e9, 0.0, 0.0))
        3.0
        """
        names = [field.name for field in fields(self)]
        return float(sum(getattr(self, name) * getattr(counts, name) for name in names))


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Seconds that a machine takes for one of each; ``fedchain doctor --calibrate`` measures them.

    Gradients, noise, quantising and checks are those of all cores together.
    """

    cores: int
    """Cores that the rates were measured with."""
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
    """The check of one, on one core."""
    check: float
    """A number of a direction whose norm a node checks."""
    aggregate: float
    """A number of a direction in the exact l-nearest rule."""
    update: float
    """A number of the state (weights, moments) made by the update."""
    hash: float
    """A byte through SHA-256, on one core."""
    write: float
    """A byte of the ledger on one core, which the other threads have to do without."""
    store: float
    """A byte written to the ledger and synced."""
    commit: float
    """A blob committed, whatever its size."""
    attempt: float
    """A nonce tried."""
    event: float
    """A message or a block delivered to one more node."""
    holder: float
    """Everything else of a holder in a round: its key, proof, message, records."""
    round: float
    """Everything else of a round."""

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
"""Of two cores of a server, for machines that have not been measured."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What one holder computes in a round, and one measurement of the model, counted."""

    examples: float
    """Examples of one holder, n: its records, or the tiles that they are cut into."""
    dimension: int
    """Numbers of a gradient, d."""
    products: float
    """Multiply-adds of one example's forward pass."""
    activations: float
    """Numbers that the layers hand on for one example."""
    layers: int
    """Layers that an example goes through."""
    method: Method
    """How gradients are found."""
    pieces: int
    """Batches that one holder's examples go through the model in."""
    held_out: int
    """Examples that the model is measured on."""
    public: int = 0
    """Public records whose gradients give the directions that releases are projected on."""

    @property
    def gradient(self) -> Passes:
        """One holder's gradient."""
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
        """The gradients of the public records, one by one, and their inner products."""
        m, d = self.public, self.dimension
        products = m * BACKWARD * self.products + m * m * d
        return Passes(m, m * self.layers, products, m * d, m * self.activations)

    @property
    def forward(self) -> Passes:
        """One measurement of the model."""
        n, calls = self.held_out, self.layers * math.ceil(self.held_out / MEASURED_TOGETHER)
        return Passes(1, calls, n * self.products, 0, n * self.activations)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A round, counted: everything that its cost depends on."""

    holders: int
    """Holders, or groups of them, asked in a round, K."""
    learning: Learning
    """What each of them computes."""
    private: bool
    """Whether noise is drawn."""
    compute: int
    """Compute nodes, C."""
    workers: int
    """Holders that compute side by side."""
    storage: int
    """Bytes of a number of a direction."""
    path: int
    """Hashes that prove a registered identity; 0 where identities are open."""
    state: int
    """Arrays of d numbers in the state: weights, and the moments of the update."""
    weights: int
    """Bytes of a number of the weights; those of the moments have 8."""
    difficulty_bits: int
    """Leading zero bits of a block's hash."""
    measured_every: int
    """Rounds between two measurements."""
    members: int = 1
    """Holders behind a message, m: of a group, or 1."""

    @property
    def dimension(self) -> int:
        """Numbers of a gradient, d."""
        return self.learning.dimension


def seconds(asked: Configuration, rates: Rates) -> dict[str, float]:
    """Return the wall time of a round by what it is spent on; their sum is the round.

    With K holders of n examples, d numbers, P workers and M multiply-adds of a forward pass:
    gradients K (start + calls + 3 n M + numbers + n activations), with the idle end of the last
    chunk; noise K d; quantising K d; hashing K d bytes / P; signing K / P; checks K d and K / P
    verifications, once for all nodes; aggregation K d; update and its hash: arrays of the state
    times d; 2^bits tries and more (``attempts``); deliveries; measuring, which takes one of the
    P cores from the next gradients. Of groups of m there are K m gradients and noises, and
    K m (m - 1) masks, each about a signature and 8 d bytes of a hash. The ledger is written
    while the round goes on: its arithmetic
    takes one of the P cores, and what it takes longer than everything else is waited for.

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
        # Every worker finds the directions for itself, on its own core.
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
    """Return into how many chunks the engine cuts a cohort."""
    anybody = cast("Sequence[ReleaseRequest]", range(holders))  # only their number counts
    return len(cut(anybody, learning.method, learning.dimension, members))


def idle(asked: Configuration, workers: int) -> float:
    """Return how much longer a cohort takes because its chunks do not divide by the workers."""
    count = chunks(asked.holders, asked.learning, asked.members)
    return math.ceil(count / workers) * workers / count


def deliveries(asked: Configuration) -> int:
    """Return how often something reaches a node: messages and blocks.

    Every message goes to every compute node, and every block to everybody else.
    """
    k, c = asked.holders, asked.compute
    return k * c + (c - 1 + k)


MESSAGE = 223
"""Bytes of a message beside its direction and its proof, with a mechanism of 8 letters."""
PROOF, HASH, HEADER, LENGTH = 17, 32, 264, 4
"""Bytes of a proof beside its hashes, of a hash, of a header, of the length before an item."""
ROW, LINE = 207, 341
"""Bytes of a message in the database with its indexes, and in the events: measured."""
BLOCK_ROW, ROUND_LINE = 590, 600
"""Bytes of a block in the database with its indexes, and of a round in the events."""


def message_bytes(asked: Configuration) -> int:
    """Return the bytes of a message: keys, declaration, signature, proof, and d integers."""
    proof = PROOF + HASH * asked.path if asked.path else 0
    return MESSAGE + proof + asked.dimension * asked.storage


def block_bytes(asked: Configuration) -> int:
    """Return the bytes of a block as it travels: its header, and its messages one by one."""
    return HEADER + LENGTH + asked.holders * (LENGTH + message_bytes(asked))


def state_bytes(asked: Configuration) -> int:
    """Return the bytes of the weights and of what the update remembers."""
    return asked.dimension * (asked.weights + 8 * (asked.state - 1))


def blobs(asked: Configuration) -> int:
    """Return how many new blobs a block has: messages, weights, and what the update remembers.

    What plain gradient descent remembers is nothing, the same nothing in every block.
    """
    return 2 if asked.state == 1 else 3


def blob_bytes(asked: Configuration) -> int:
    """Return the bytes that a block adds to the ledger's blobs."""
    return block_bytes(asked) - HEADER + state_bytes(asked)


def header_and_weights(asked: Configuration) -> int:
    """Return what a holder fetches: a header, and the weights whose hash it commits to."""
    return HEADER + asked.weights * asked.dimension


def wire_bytes(asked: Configuration) -> dict[str, int]:
    """Return what a round moves between nodes, if each were a machine.

    A holder sends its message to every compute node, and fetches header and weights, which the
    header commits to; the compute node that found the block sends it to the others, messages
    included, since they recompute it.

    Args:
        asked: the round.

    Returns:
        Bytes of one message, of one block, of what a holder and a compute node send or receive
        in a round, and of everything together.
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
    """Return what a round adds to the run folder: blobs, rows of the database, events."""
    k = asked.holders
    return blob_bytes(asked) + k * (ROW + LINE) + BLOCK_ROW + ROUND_LINE
