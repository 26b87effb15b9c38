"""Sections of a scenario as immutable records; ``fedchain schema`` shows each field's text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from fedchain.registry import FAMILIES, Part, Section, Where
from fedchain.scenario.attackers import AtLeastOne, Misbehaving
from fedchain.scenario.local import Local
from fedchain.scenario.nodes import Nodes
from fedchain.scenario.root import has_root

_SAFE = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$"


def _no_device(name: str) -> str:
    ports = (f"{port}{n}" for port in ("com", "lpt") for n in range(10))
    if name.partition(".")[0].lower() in {"con", "prn", "aux", "nul", *ports}:
        raise ValueError(f"must not begin with the name of a device of Windows, got {name!r}")
    return name


RunName = Annotated[str, Field(pattern=_SAFE), AfterValidator(_no_device)]
"""A name that is a valid folder name on every system."""


class LedgerSettings(Section):
    """Settings of the ledger: proof of work, number types, and the conditions for a block."""

    work: Annotated[Part, FAMILIES["work"]] = Part("hashcash", {})
    """Proof of work and its difficulty."""
    quorum: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Smallest share of the asked holders whose messages a block must contain."""
    deadline_s: Annotated[float, Field(gt=0)] = 30.0
    """Simulated seconds for which a compute node waits for messages; it always waits for the
    quorum."""
    storage: Literal["int8", "int16", "int32"] = "int16"
    """Integer type of the directions (normalised gradients) in messages and on disk."""
    weights: Literal["float64", "float32"] = "float64"
    """Number type of the weights on the chain."""


class Disk(Section):
    """What the ledger keeps on disk; the chain itself does not depend on this choice."""

    keep_weights: Literal["all", "last"] | Annotated[int, Field(ge=1, le=1_000_000)] = "all"
    """Weights to keep. all: of every block; last: of the first and last block; N: of every N-th
    block."""
    keep_messages: Literal["all"] | Annotated[int, Field(ge=1, le=1_000_000)] = "all"
    """Messages to keep whole. all: every message; a number N: those of the last N blocks and of
    blocks that forks may still reach. Older messages lose their directions."""


class Churn(Section):
    """Nodes that leave and come back repeatedly."""

    away: Annotated[float, Field(gt=0, le=0.9)]
    """Mean share of the time for which a node is away."""
    stay_s: Annotated[float, Field(gt=0, le=1e9)] = 60.0
    """Mean simulated seconds of a stay. Stays and absences have exponential distributions."""


class Partition(Section):
    """A temporary split of the network into two parts without contact."""

    from_s: Annotated[float, Field(ge=0, le=1e9)]
    """Simulated time, in seconds, at which the links between the parts break."""
    to_s: Annotated[float, Field(gt=0, le=1e9)]
    """Simulated time, in seconds, at which the links work again."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the compute nodes, and of the data holders, in one of the two parts."""


class LateJoiners(Section):
    """Nodes that join after the start."""

    at_s: Annotated[float, Field(gt=0, le=1e9)]
    """Simulated time, in seconds, at which these nodes join."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the compute nodes, and of the data holders, that join late. At least one compute
    node is there from the start."""


class Gossip(Section):
    """How blocks and messages travel over the links, and which failures occur."""

    relay: Literal["push", "announce"] = "push"
    """push: a node sends new blocks and messages whole; announce: it sends only their ids, and
    others request the rest."""
    bandwidth_mbit_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Megabits per second that a link carries in each direction; null: no limit."""
    loss: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of the transmissions over a link that are lost and sent again."""
    retry_s: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Simulated seconds after which a lost transmission is sent again."""
    churn: Churn | None = None
    """Nodes that leave, come back and catch up; null: none."""
    partitions: Annotated[tuple[Partition, ...], Field(max_length=64)] = ()
    """Times at which the network splits into two parts, and becomes one again."""
    late_joiners: LateJoiners | None = None
    """Nodes that join later and download the chain, headers first; null: none."""

    @cached_property
    def breaks(self) -> bool:
        """Whether a link may be down at any time."""
        return bool(self.churn or self.partitions or self.late_joiners)


class Evaluate(Section):
    """How often the model is measured, and how many examples are shown as pictures."""

    every: AtLeastOne = 1
    """Number of rounds between measurements; the last round is always measured."""
    samples: Annotated[int, Field(ge=0, le=64)] = 4
    """Number of held-out examples shown as pictures at the end."""


class Sweep(Section):
    """Many runs of one scenario: every point of a grid with every seed."""

    grid: Mapping[str, Annotated[tuple[Any, ...], Field(min_length=1)]]
    """Values of each dotted path; with an empty grid only the seed changes."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of runs of every point, with consecutive seeds from the scenario's seed on."""
    x: str | None = None
    """Grid path on the horizontal axis; null: the first."""
    y: str | None = None
    """Metric on the vertical axis; null: the task's own score."""
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Value of y to reach; the report shows the time and epsilon needed; null: no target."""


@dataclass(frozen=True)
class Sources:
    """The source of each value: a file and line, or an option. Equality ignores the sources."""

    layers: Mapping[Where, str] = field(default_factory=dict, compare=False, repr=False)
    """Source by the path of the value; values without an entry have their default."""


class Scenario(Section):
    """A complete scenario; on one machine, the same scenario and seed give the same run."""

    version: Annotated[Literal[1], Field(examples=[1])]
    """Version of the scenario format."""
    name: Annotated[RunName, Field(examples=["my-first-run"])]
    """Name of the run's folder: letters, digits, dash, underscore, dot; at most 64 characters."""
    description: str = ""
    """Question that the scenario answers."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random stream."""
    rounds: Annotated[int, Field(ge=1, le=1_000_000, examples=[40])]
    """Number of blocks after genesis."""
    task: Annotated[Part, FAMILIES["task"], Field(examples=["{kind: breast_cancer}"])]
    """What is learned: data, model, loss and metrics."""
    nodes: Annotated[Nodes, Field(examples=["{holders: 20, compute: 3}"])]
    """Data holders and compute nodes."""
    local: Local | None = None
    """Local training: each holder takes several steps of its own before it sends a message; null:
    it sends its gradient."""
    network: Annotated[Part, FAMILIES["network"]] = Part("complete", {})
    """Which nodes are linked, and how fast the links are."""
    gossip: Gossip = Gossip()
    """How blocks and messages travel over the links, and which failures occur."""
    privacy: Annotated[
        Part, FAMILIES["mechanism"], Field(examples=["{kind: gaussian, epsilon: 8.0, clip: 0.1}"])
    ]
    """Mechanism that adds noise to each holder's gradient before the holder sends it."""
    aggregation: Annotated[
        Part, FAMILIES["aggregation"], Field(examples=["{kind: l_nearest, keep: 14}"])
    ]
    """Rule that combines the gradients of a block into one gradient."""
    update: Annotated[Part, FAMILIES["update"]] = Part("gradient_descent", {"learning_rate": 0.1})
    """Rule that computes new weights from the weights and the gradient."""
    ledger: LedgerSettings = LedgerSettings()
    """Proof of work, quorum and storage."""
    disk: Disk = Disk()
    """What the ledger keeps on disk."""
    attacks: tuple[Misbehaving, ...] = ()
    """Data holders and compute nodes that misbehave."""
    evaluate: Evaluate = Evaluate()
    """When the model is measured."""
    trace: bool = False
    """Whether to write `travel.ndjson`: when each message and block left its sender, and when it
    reached each node. The page shows them in flight."""
    engine: Annotated[Part, FAMILIES["engine"]] = Part("threads", {})
    """Where the holders compute; results are the same for every engine."""
    sweep: Sweep | None = None
    """Grid of `fedchain sweep`."""
    labels: Mapping[str, str] = {}
    """Names in figures and tables, such as `l_nearest: ours`: of a key (`privacy.epsilon`), a kind,
    a metric, a baseline, or of a part of a legend as it is without labels (`keep = 14`)."""
    tuning: str = ""
    """Values that were chosen by comparing runs on private records, and the seeds of these runs.
    Epsilon does not cover this choice. Empty: no such choice was made."""
    _sources: Sources = PrivateAttr(default=Sources())
    """Source of each value."""

    @cached_property
    def rooted(self) -> bool:
        """Whether a public root takes part, since the task declares one."""
        return has_root(self.task)

    @property
    def slots(self) -> int:
        """Number of slots of the network: one for each participant asked, and one for the root."""
        return self.nodes.asked + self.rooted
