"""What every engine is, and how a cohort is cut into chunks for its workers."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.errors import ScenarioError
from fedchain.learning.task import Task, tasks
from fedchain.nodes.holders.group_pool import GroupPool
from fedchain.nodes.holders.holder_pool import (
    HolderPool,
    ReleaseBackend,
    ReleaseBatch,
    ReleaseRequest,
)
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Family, Part
from fedchain.scenario import Scenario

if TYPE_CHECKING:
    from fedchain.learning.gradients.cohort import CohortGradients, Method
    from fedchain.learning.tasks.public_subspace import PublicDirections

log = logging.getLogger("fedchain")

Workers = Annotated[int | None, Field(ge=1)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]

FEW, MANY = 25, 256
"""Holders of one chunk of a dense network, which gains by going together, the smaller the more."""
FEW_NUMBERS, MOST_NUMBERS = 2**19, 2**23
"""Numbers in the gradients of one chunk: below the one it pays to add holders, and a bound."""


class Engine(Protocol):
    """Computes the messages of chunks of holders, side by side."""

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield what each chunk has to say, in the order of the chunks.

        Args:
            weights: (d,), the same for all.
            chunks: holders that are asked together; the messages depend on the chunks, and on
                nothing that an engine may choose.
        """

    def close(self) -> None:
        """Let the workers go."""


engines: Family[Engine] = Family(
    "engine", ("fedchain.engines.threads", "fedchain.engines.processes", "fedchain.engines.ray")
)
"""Part: ``(source, *, workers, device, ...) -> Engine``."""


@dataclass(frozen=True)
class Source:
    """What a worker is made of; without the task it can travel, and the task is built anew."""

    scenario: Scenario
    """What was asked."""
    mechanism: Mechanism
    """The noise, solved for the whole run."""
    task: Task | None
    """Data, model, loss; None: the worker builds them, in its own process."""

    @functools.cached_property
    def gradients(self) -> CohortGradients:
        """The gradients of the cohort on this machine's processor."""
        from fedchain.learning.gradients.cohort import (
            CohortGradients,  # with torch: not to check a file
        )

        scenario, terms = self.scenario, self.mechanism.terms
        task = self.task or tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
        return CohortGradients(task, terms.clip, terms.unit, automatic=terms.automatic)

    @property
    def subspace(self) -> PublicDirections | None:
        """Where releases are projected, a new one for each who asks; None: nowhere."""
        if self.gradients.task.subspace is None:
            return None
        from fedchain.learning.tasks.public_subspace import PublicDirections  # with torch

        return PublicDirections(self.gradients.task)

    def speakers(self, device: str) -> ReleaseBackend:
        """Return those who are asked as one worker has them, on ``auto``, ``cpu`` or ``cuda``."""
        gradients, groups = self.gradients.on(placed(device)), self.scenario.nodes.groups
        task, mechanism, subspace = gradients.task, self.mechanism, self.subspace
        if groups is None:
            return HolderPool(
                gradients=gradients,
                scenario=self.scenario,
                task=task,
                mechanism=mechanism,
                subspace=subspace,
            )
        noise = mechanism.group_noise
        assert noise is not None, "it was built with shares"
        return GroupPool(gradients, self.scenario, groups, task, mechanism, noise, subspace)


def chosen(scenario: Scenario, kind: str | None, workers: int | None) -> Part:
    """Return the engine of a run: the scenario's, but for what was asked for otherwise.

    Args:
        scenario: names an engine.
        kind: another one; None: the scenario's.
        workers: another number of them; None: the scenario's.

    Raises:
        ScenarioError: there is no such engine.
    """
    block = scenario.engine.plain()
    if kind is not None and kind != scenario.engine.kind:
        block = {"kind": kind}
    if workers is not None:
        block["workers"] = workers
    return engines.check(block, ("engine",))


@contextlib.contextmanager
def at_work(
    part: Part, source: Source
) -> Iterator[Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]]:
    """Start an engine, and let it go at the end.

    Args:
        part: names the engine.
        source: what its workers are made of.

    Yields:
        (weights (d,), a cohort) to what the holders say, a chunk at a time.

    Raises:
        ScenarioError: the device is not there.
    """
    method, dimension = source.gradients.method, source.gradients.dimension
    groups = source.scenario.nodes.groups
    members = groups.size if groups else 1
    try:
        engine = engines.build(part, source)
    except ValueError as error:
        raise ScenarioError([], str(error)) from error
    log.info("%d weights, gradients by %s, engine %s", dimension, method, part.plain())
    with contextlib.closing(engine):
        yield lambda weights, asked: engine.map(weights, cut(asked, method, dimension, members))


def cut(
    asked: Sequence[ReleaseRequest], method: Method, dimension: int, members: int = 1
) -> list[list[ReleaseRequest]]:
    """Cut a cohort into chunks.

    The cut follows from cohort and model alone, so that the messages have the same bits however
    many workers there are. The number of chunks is even where it can be: cores come in pairs.

    Args:
        asked: the holders, or groups.
        method: how their gradients are found.
        dimension: of a gradient.
        members: holders behind each of those who are asked.
    """
    count = math.ceil(len(asked) / max(1, together(method, dimension) // members))
    count = min(len(asked), count + count % 2)
    return [[asked[i] for i in part] for part in np.array_split(np.arange(len(asked)), count)]


def together(method: Method, dimension: int) -> int:
    """Return the most holders of one chunk.

    >>> together("segments", 50_000), together("layers", 50_000)
    (25, 1)
    """
    if method != "segments":
        return 1
    return max(1, min(max(FEW, FEW_NUMBERS // dimension), MANY, MOST_NUMBERS // dimension))


def placed(device: str) -> str:
    """Return torch's device: ``auto`` is a GPU where there is one.

    Raises:
        ValueError: torch cannot reach the device.

    >>> placed("cpu")
    'cpu'
    """
    import torch

    there = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if there else "cpu"
    if device != "cpu" and not there:
        raise ValueError(f"engine.device: torch reaches no GPU here, got {device}; use auto or cpu")
    return device


def cores(workers: int | None) -> int:
    """Return how many workers there are: as many as asked for, or one a core.

    >>> cores(3)
    3
    """
    return workers or os.cpu_count() or 1
