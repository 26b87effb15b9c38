"""Sections of a scenario as immutable records; ``fedchain schema`` shows each field's text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from fedchain.registry import FAMILIES, Part, Section, Where
from fedchain.scenario.attackers import AtLeastOne, Misbehaving
from fedchain.scenario.nodes import Nodes

_SAFE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$"


def _no_device(name: str) -> str:
    ports = (f"{port}{n}" for port in ("com", "lpt") for n in range(10))
    if name.partition(".")[0].lower() in {"con", "prn", "aux", "nul", *ports}:
        raise ValueError(f"must not begin with the name of a device of Windows, got {name!r}")
    return name


RunName = Annotated[str, Field(pattern=_SAFE), AfterValidator(_no_device)]
"""A name that is safe as the name of a folder on every system."""


class LedgerSettings(Section):
    """Settings of the ledger: what it stores, and when a block may be made."""

    work: Annotated[Part, FAMILIES["work"]] = Part("hashcash", {})
    """The proof of work and its difficulty."""
    quorum: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Least share of the asked holders whose messages a block must have."""
    deadline_s: Annotated[float, Field(gt=0)] = 30.0
    """Simulated seconds after which a compute node stops waiting for messages beyond the quorum."""
    storage: Literal["int8", "int16", "int32"] = "int16"
    """Integer type in which the directions (normalised gradients) are sent and stored."""
    weights: Literal["float64", "float32"] = "float64"
    """Number type in which the weights are stored and agreed on."""


class Disk(Section):
    """What the ledger keeps on disk; the chain is the same with every choice."""

    keep_weights: Literal["all", "last"] | Annotated[int, Field(ge=1, le=1_000_000)] = "all"
    """Weights to keep. all: of every block; last: of the first and last block; N: of every N-th."""
    keep_messages: Literal["all"] | Annotated[int, Field(ge=1, le=1_000_000)] = "all"
    """Messages to keep whole. all: every message; a number N: those of the last N blocks and of the
    blocks that forks may still reach. Older messages lose only their directions."""


class Churn(Section):
    """Nodes that leave and come back, again and again."""

    away: Annotated[float, Field(gt=0, le=0.9)]
    """Mean share of the time for which a node is away."""
    stay_s: Annotated[float, Field(gt=0, le=1e9)] = 60.0
    """Mean simulated seconds of a stay; stays and absences have exponential distributions."""


class Partition(Section):
    """A split of the network into two parts that do not hear each other for a while."""

    from_s: Annotated[float, Field(ge=0, le=1e9)]
    """Simulated time, in seconds, at which the links between the parts break."""
    to_s: Annotated[float, Field(gt=0, le=1e9)]
    """Simulated time, in seconds, at which the links work again."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the compute nodes, and of the data holders, that are cut off from the others."""


class LateJoiners(Section):
    """Nodes that join after the start."""

    at_s: Annotated[float, Field(gt=0, le=1e9)]
    """Simulated time, in seconds, at which these nodes join."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the compute nodes, and of the data holders, that join late; one compute node is
    always there."""


class Gossip(Section):
    """How blocks and messages travel over the links, and what goes wrong on the way."""

    relay: Literal["push", "announce"] = "push"
    """push: a node sends a new block or message; announce: it sends the name, and others ask."""
    bandwidth_mbit_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Megabits that a link carries in a second in each direction; null: no limit."""
    loss: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of the transmissions over a link that are lost and sent again."""
    retry_s: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Simulated seconds after which a lost transmission is sent again."""
    churn: Churn | None = None
    """Nodes that leave, come back and catch up; null: nobody does."""
    partitions: Annotated[tuple[Partition, ...], Field(max_length=64)] = ()
    """Times at which the network splits into two parts, and becomes one again."""
    late_joiners: LateJoiners | None = None
    """Nodes that join later and fetch the chain, headers first; null: nobody joins later."""

    @cached_property
    def breaks(self) -> bool:
        """Whether a link is ever down."""
        return bool(self.churn or self.partitions or self.late_joiners)


class Evaluate(Section):
    """How often the model is measured, and how many examples are shown as pictures."""

    every: AtLeastOne = 1
    """Number of rounds from one measurement to the next; the last round is always measured."""
    samples: Annotated[int, Field(ge=0, le=64)] = 4
    """Number of held-out examples shown as pictures at the end."""


class Sweep(Section):
    """Many runs of one scenario: every point of a grid with every seed."""

    grid: Mapping[str, Annotated[tuple[Any, ...], Field(min_length=1)]]
    """Values to run for each dotted path; with an empty grid only the seed changes."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of runs of every point; their seeds count up from the scenario's seed."""
    x: str | None = None
    """The grid path on the horizontal axis; null: the first."""
    y: str | None = None
    """The metric on the vertical axis; null: the task's own score."""
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Value of y to reach; the report shows the time and epsilon until then; null: no target."""


@dataclass(frozen=True)
class Sources:
    """The source of each value: a file and line, or an option; equality ignores it."""

    layers: Mapping[Where, str] = field(default_factory=dict, compare=False, repr=False)
    """The source by the path of the value; a path without a source has its default."""


class Scenario(Section):
    """A complete scenario; the same scenario with the same seed gives the same run."""

    version: Annotated[Literal[1], Field(examples=[1])]
    """Version of the scenario format."""
    name: Annotated[RunName, Field(examples=["my-first-run"])]
    """Name of the run's folder: letters, digits, dash, underscore, dot; at most 64."""
    description: str = ""
    """The question that the scenario answers."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The number from which every random stream starts."""
    rounds: Annotated[int, Field(ge=1, le=1_000_000, examples=[40])]
    """Number of blocks after genesis."""
    task: Annotated[Part, FAMILIES["task"], Field(examples=["{kind: breast_cancer}"])]
    """What is learned: data, model, loss, metrics."""
    nodes: Annotated[Nodes, Field(examples=["{holders: 20, compute: 3}"])]
    """The nodes that act: data holders and compute nodes."""
    network: Annotated[Part, FAMILIES["network"]] = Part("complete", {})
    """Which nodes are linked, and how fast the links are."""
    gossip: Gossip = Gossip()
    """How items travel over the network's links, and what goes wrong on the way."""
    privacy: Annotated[
        Part, FAMILIES["mechanism"], Field(examples=["{kind: gaussian, epsilon: 8.0, clip: 0.1}"])
    ]
    """The mechanism: the noise that each holder adds to its gradient before it sends it."""
    aggregation: Annotated[
        Part, FAMILIES["aggregation"], Field(examples=["{kind: l_nearest, keep: 14}"])
    ]
    """The rule that makes one gradient out of many."""
    update: Annotated[Part, FAMILIES["update"]] = Part("gradient_descent", {"learning_rate": 0.1})
    """The rule that turns a block's weights into those of the next block."""
    ledger: LedgerSettings = LedgerSettings()
    """Proof of work, quorum, storage."""
    disk: Disk = Disk()
    """What the ledger keeps on disk."""
    attacks: tuple[Misbehaving, ...] = ()
    """Data holders and compute nodes that misbehave."""
    evaluate: Evaluate = Evaluate()
    """When the model is measured."""
    engine: Annotated[Part, FAMILIES["engine"]] = Part("threads", {})
    """Where the holders compute; the results are the same everywhere."""
    sweep: Sweep | None = None
    """The grid of `fedchain sweep`."""
    tuning: str = ""
    """Values that were chosen by comparing runs on private records, and the seeds of these runs; no
    epsilon accounts for this choice. Empty: nothing is declared."""
    _sources: Sources = PrivateAttr(default=Sources())
    """The source of each value."""
