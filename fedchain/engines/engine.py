"""Engine: the interface of all engines, and the functions that check and start an engine."""

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
from fedchain.native.loading import absence
from fedchain.nodes.holders.colluders import poisoned_task
from fedchain.nodes.holders.group_pool import GroupPool
from fedchain.nodes.holders.holder_pool import (
    HolderPool,
    ReleaseBackend,
    ReleaseBatch,
    chunk_size,
    chunks_of,
)
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.public_root import RootedPool, of_root
from fedchain.nodes.holders.release import ReleaseRequest
from fedchain.privacy.mechanisms import Mechanism
from fedchain.registry import Family, Part
from fedchain.reuse import once
from fedchain.scenario import Scenario, is_exact, provenance_of

if TYPE_CHECKING:
    from fedchain.learning.gradients.cohort import CohortGradients

TRAINED = ("warm_start", "public_subspace")
"""Kinds of tasks whose weights or directions come from gradients by torch."""
Workers = Annotated[int | None, Field(ge=1)]
Exact = bool
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]


class Engine(Protocol):
    """Computes releases in several workers."""

    def map(
        self, weights: Vector, chunks: Sequence[Sequence[ReleaseRequest]]
    ) -> Iterator[ReleaseBatch]:
        """Yield the releases of each chunk, in the order of the chunks.

        Args:
            weights: the weights at which all gradients are computed, shape (dimension,).
            chunks: lists of requests that are computed together. The last bits of a message may
                depend on the chunks, but not on the engine.
        """

    def close(self) -> None:
        """Stop the workers."""


engines: Family[Engine] = Family(
    "engine", ("fedchain.engines.threads", "fedchain.engines.processes", "fedchain.engines.ray")
)
"""The family of engines; functions ``(source, *, workers, device, ...) -> Engine`` make engines."""


@dataclass(frozen=True)
class Source:
    """The parts from which a worker is built."""

    scenario: Scenario
    """The scenario of the run."""
    mechanism: Mechanism
    """The privacy mechanism; its noise is calibrated for the whole run."""
    task: Task | None
    """Data, model and loss; None: the worker builds the task in its own process."""

    @functools.cached_property
    def gradients(self) -> CohortGradients:
        """Computes the gradients of several holders on the CPU."""
        from fedchain.learning.gradients.cohort import (
            CohortGradients,  # imports torch, which a check of a scenario file does not need
        )

        scenario, terms = self.scenario, self.mechanism.terms

        def make() -> CohortGradients:
            task = self.task or tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
            task = poisoned_task(task, scenario)
            return CohortGradients(
                task, terms.clip, terms.unit, automatic=terms.automatic, exact=self.exact
            )

        # Data files may have changed since an earlier run.
        origin = provenance_of(scenario)
        data = scenario.task, scenario.nodes, scenario.attacks, scenario.seed, origin
        return once("gradients", (data, terms.clip, terms.unit, terms.automatic, self.exact), make)

    @property
    def exact(self) -> bool:
        """Whether gradients have the same bits on every processor, as the scenario asks."""
        return is_exact(self.scenario)

    def backend(self, device: str) -> ReleaseBackend:
        """Return the pool of holders or groups that computes releases in one worker.

        Args:
            device: device for the gradients: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            ValueError: torch cannot reach the device.
        """
        # These modules import torch.
        from fedchain.learning.gradients.cohort import CohortGradients
        from fedchain.learning.tasks.public_subspace import PublicDirections

        device = "cpu" if self.exact else placed(device)
        gradients = self.gradients.on(device)
        task = gradients.task
        parts = PoolParts(
            gradients=gradients,
            scenario=self.scenario,
            task=task,
            mechanism=self.mechanism,
            subspace=None if task.subspace is None else PublicDirections(task),
        )
        nodes = self.scenario.nodes
        pool = HolderPool(parts) if nodes.groups is None else GroupPool(parts)
        if task.root is None:
            return pool
        public = CohortGradients(of_root(task), clip=None, exact=self.exact).on(device)
        return RootedPool(pool, public, self.scenario)


def chosen(scenario: Scenario, kind: str | None, workers: int | None) -> Part:
    """Return the kind and the parameters of a run's engine.

    Args:
        scenario: the scenario of the run.
        kind: kind of the engine; None: the kind in the scenario.
        workers: number of workers; None: the number in the scenario.

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
    """Check that an engine can compute the releases of a source on this machine.

    Raises:
        ScenarioError: the device does not exist on this machine.
        MissingExtra: the engine needs a package that is not installed.
        PartError: the model or the loss fails, or lets examples influence each other.
    """
    if source.task is not None and not source.task.learns:
        return
    if source.exact:
        _check_exact(part, source)
    _ = source.gradients  # tries model and loss
    if part.kind == "ray":  # its devices are those of other machines
        from fedchain.engines.ray import ray_package

        ray_package()
        return
    try:
        placed(part.parameters.get("device", "auto"))
    except ValueError as error:
        raise ScenarioError([], str(error)) from error


def _check_exact(part: Part, source: Source) -> None:
    """Raise ScenarioError if exact gradients are asked for, and something else is not exact."""
    device = part.parameters.get("device", "auto")
    inner = [each.kind for each in source.scenario.task.nested() if each.kind in TRAINED]
    why = None
    if device not in ("auto", "cpu"):
        why = f"the device is {device}"
    elif inner:
        why = f"task {inner[0]} computes by torch before the first round"
    elif source.mechanism.clip_follower is not None:
        why = "the clip follows a quantile"
    if why is not None:
        text = f"engine.exact: must be false where {why}, got true"
        raise ScenarioError([], text)


@contextlib.contextmanager
def at_work(
    part: Part, source: Source
) -> Iterator[Callable[[Vector, Sequence[ReleaseRequest]], Iterator[ReleaseBatch]]]:
    """Start an engine, and close it at the end.

    Args:
        part: kind and parameters of the engine.
        source: the parts from which the workers are built.

    Yields:
        A function that yields the releases in chunks, given the weights, shape (dimension,), and
        the requests. If the task learns nothing, the function yields nothing.

    Raises:
        ScenarioError: the device does not exist on this machine.
    """
    if source.task is not None and not source.task.learns:
        yield lambda *_: iter(())
        return
    method, dimension = source.gradients.method, source.gradients.dimension
    groups = source.scenario.nodes.groups
    members, examples = groups.size if groups else 1, source.gradients.examples
    most = chunk_size(method, dimension, members, examples=examples)
    try:
        engine = engines.build(part, source)
    except ValueError as error:
        raise ScenarioError([], str(error)) from error
    text = "%d weights, gradients by %s, engine %s"
    log = logging.getLogger("fedchain")
    log.info(text, dimension, method, part.plain())
    if source.gradients.plan is not None and (why := absence()):
        log.info("compiled kernels: %s", why)
    if method == "single":
        log.warning("task.model: gradients are computed one example at a time, which is slow")
    with contextlib.closing(engine):
        yield lambda weights, asked: engine.map(weights, chunks_of(asked, most))


def placed(device: str) -> str:
    """Return the name of a torch device; ``auto`` means a GPU if there is one, else the CPU.

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
    """Return the number of workers; None means one worker for each processor core.

    >>> cores(3)
    3
    """
    return workers or os.cpu_count() or 1
