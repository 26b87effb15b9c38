"""Engine: the interface of all engines, the parts of a worker, and the start of an engine."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import Field

from fedchain.arrays import Vector
from fedchain.errors import ScenarioError
from fedchain.learning.task import Task, tasks
from fedchain.nodes.holders.colluders import poisoned_task
from fedchain.nodes.holders.group_pool import GroupPool
from fedchain.nodes.holders.holder_pool import (
    HolderPool,
    PoolParts,
    ReleaseBackend,
    ReleaseBatch,
    chunk_size,
    chunks_of,
)
from fedchain.nodes.holders.release import ReleaseRequest
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Family, Part
from fedchain.scenario import Scenario

if TYPE_CHECKING:
    from fedchain.learning.gradients.cohort import CohortGradients

Workers = Annotated[int | None, Field(ge=1)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]


class Engine(Protocol):
    """Computes releases in parallel, in several workers."""

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield the releases of each chunk, in the order of the chunks.

        Args:
            weights: the weights (d,) at which all gradients are computed.
            chunks: lists of requests; the requests of one list are computed together. The bits of
                a message may depend on the chunks, but not on the engine.
        """

    def close(self) -> None:
        """End the workers."""


engines: Family[Engine] = Family(
    "engine", ("fedchain.engines.threads", "fedchain.engines.processes", "fedchain.engines.ray")
)
"""The family of engines. Functions ``(source, *, workers, device, ...) -> Engine`` make them."""


@dataclass(frozen=True)
class Source:
    """The parts from which a worker is built.

    A source without a task can be sent to another process, which then builds the task itself.
    """

    scenario: Scenario
    """The scenario of the run."""
    mechanism: Mechanism
    """The mechanism, with noise that is calibrated for the whole run."""
    task: Task | None
    """Data, model and loss; None: the worker builds them in its own process."""

    @functools.cached_property
    def gradients(self) -> CohortGradients:
        """The object that computes the gradients of several holders, on the CPU of this machine."""
        from fedchain.learning.gradients.cohort import (
            CohortGradients,  # imports torch, which a check of a scenario file does not need
        )

        scenario, terms = self.scenario, self.mechanism.terms
        task = self.task or tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
        task = poisoned_task(task, scenario)
        return CohortGradients(task, terms.clip, terms.unit, automatic=terms.automatic)

    def backend(self, device: str) -> ReleaseBackend:
        """Return the object that computes releases in one worker: a pool of holders, or of groups.

        Args:
            device: where gradients are computed: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            ValueError: torch cannot reach the device.
        """
        from fedchain.learning.tasks.public_subspace import PublicDirections  # imports torch

        gradients = self.gradients.on(placed(device))
        task = gradients.task
        parts = PoolParts(
            gradients=gradients,
            scenario=self.scenario,
            task=task,
            mechanism=self.mechanism,
            subspace=None if task.subspace is None else PublicDirections(task),
        )
        return HolderPool(parts) if self.scenario.nodes.groups is None else GroupPool(parts)


def chosen(scenario: Scenario, kind: str | None, workers: int | None) -> Part:
    """Return the kind and the parameters of a run's engine.

    Args:
        scenario: names an engine.
        kind: an engine to use instead; None: the scenario's.
        workers: a number of workers to use instead; None: the scenario's.

    Raises:
        ScenarioError: there is no such engine.
    """
    mapping = scenario.engine.plain()
    if kind is not None and kind != scenario.engine.kind:
        mapping = {"kind": kind}
    if workers is not None:
        mapping["workers"] = workers
    return engines.check(mapping, ("engine",))


def check_engine(part: Part, source: Source) -> None:
    """Check that an engine can compute the releases of a source on this machine; start nothing.

    Raises:
        ScenarioError: the device does not exist here.
        MissingExtra: the engine needs a package that is not installed.
        PartError: the model or the loss fails, or mixes examples.
    """
    if source.task is not None and not source.task.learns:
        return
    _ = source.gradients  # tries model and loss
    if part.kind == "ray":  # its devices are those of other machines
        from fedchain.engines.ray import ray_package

        ray_package()
        return
    try:
        placed(part.parameters.get("device", "auto"))
    except ValueError as error:
        raise ScenarioError([], str(error)) from error


@contextlib.contextmanager
def at_work(
    part: Part, source: Source
) -> Iterator[Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]]:
    """Start an engine, and close it at the end.

    Args:
        part: kind and parameters of the engine.
        source: the parts from which its workers are built.

    Yields:
        A function of the weights (d,) and the requests. It yields the releases, one chunk after the
        other. If the task learns nothing, no engine starts, and the function yields nothing.

    Raises:
        ScenarioError: the engine cannot start, since the device does not exist here.
    """
    if source.task is not None and not source.task.learns:
        yield lambda *_: iter(())
        return
    method, dimension = source.gradients.method, source.gradients.dimension
    groups = source.scenario.nodes.groups
    most = chunk_size(method, dimension, groups.size if groups else 1)
    try:
        engine = engines.build(part, source)
    except ValueError as error:
        raise ScenarioError([], str(error)) from error
    text = "%d weights, gradients by %s, engine %s"
    log = logging.getLogger("fedchain")
    log.info(text, dimension, method, part.plain())
    if method == "single":
        log.warning("task.model: gradients are computed one example at a time, which is slow")
    with contextlib.closing(engine):
        yield lambda weights, asked: engine.map(weights, chunks_of(asked, most))


def placed(device: str) -> str:
    """Return the device for torch: ``auto`` becomes a GPU if there is one, else the CPU.

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
    """Return the number of workers: the given number, or one for each core.

    >>> cores(3)
    3
    """
    return workers or os.cpu_count() or 1
