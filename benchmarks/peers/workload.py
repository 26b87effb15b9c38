"""The workload that every simulator runs: a small dense network, holders of 60 records each.

Imported by the scripts of the peers, in environments that hold a peer and torch alone. Linux
only: it asks ``/proc`` when the process began.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

INPUTS, HIDDEN, CLASSES, RECORDS = 784, 64, 10, 60
RATE, CLIP, SIGMA, WARM_UP = 0.1, 1.0, 1.0, 3
"""Learning rate; bound on a holder's gradient; noise multiplier; rounds that are not timed."""
TOLERANCE = 1e-4


@dataclass
class ReleaseRequest:
    """The command line of a peer's script."""

    holders: int
    """How many take part, all of them in every round."""
    rounds: int
    """Rounds that are timed."""
    private: bool
    """Clip each holder's gradient as a whole and add local Gaussian noise."""
    threads: int
    """Threads of torch."""
    unchecked: bool
    """Leave out the comparison with the plain loop, which is no part of the peer."""
    variant: str
    """Which of the peer's methods; empty: its mean."""
    hidden: int = HIDDEN
    """Width of the hidden layer."""
    records: int = RECORDS
    """Records of a holder."""
    ends: list[float] = field(default_factory=list)
    """When each round ended, the start of the first one before them."""

    def tick(self) -> None:
        """Note that a round ended; the first call notes that the first round begins."""
        self.ends.append(time.perf_counter())

    @property
    def total(self) -> int:
        """Rounds that are run: the warm-up and those that are timed."""
        return WARM_UP + self.rounds


def asked(*variants: str, sizes: bool = False) -> ReleaseRequest:
    """Read the command line, and set torch's threads.

    Args:
        variants: what ``--variant`` may be, besides the empty one.
        sizes: whether the size of the network and the number of records can be chosen.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--holders", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--unchecked", action="store_true")
    parser.add_argument("--variant", choices=["", *variants], default="")
    if sizes:
        parser.add_argument("--hidden", type=int, default=HIDDEN)
        parser.add_argument("--records", type=int, default=RECORDS)
    read = ReleaseRequest(**vars(parser.parse_args()))
    torch.set_num_threads(read.threads)
    return read


def records(holder: int, count: int = RECORDS) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (count, 784) float32 and labels (count,) int64 of a holder."""
    generator = np.random.default_rng([1, holder])
    inputs = generator.standard_normal((count, INPUTS), dtype=np.float32)
    return inputs, generator.integers(0, CLASSES, count)


@functools.cache
def tensors(holder: int) -> tuple[Tensor, Tensor]:
    """Return the records of a holder as tensors, made once in each process."""
    inputs, labels = records(holder)
    return torch.from_numpy(inputs), torch.from_numpy(labels)


def model(hidden: int = HIDDEN) -> nn.Module:
    """Return the network with its initial weights, the same for all: 50,890 parameters."""
    module = nn.Sequential(nn.Linear(INPUTS, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))
    generator = np.random.default_rng(2)
    with torch.no_grad():
        for parameter in module.parameters():
            fan = INPUTS if parameter.shape[0] == hidden else hidden
            drawn = generator.uniform(-1, 1, tuple(parameter.shape)) / fan**0.5
            parameter.copy_(torch.from_numpy(drawn))
    return module


def flat(module: nn.Module) -> Tensor:
    """Return the weights as one vector, in the order of the parameters."""
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def privatise(gradients: list[Tensor]) -> None:
    """Clip a holder's gradient as a whole and add Gaussian noise, in place.

    This is what a user of a peer without a local mechanism writes.
    """
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    scale = torch.clamp(CLIP / norm, max=1.0)
    for gradient in gradients:
        gradient.mul_(scale).add_(torch.randn_like(gradient), alpha=SIGMA * CLIP)


def mean(rows: Tensor) -> Tensor:
    """Average the gradients (n, d): what most peers do."""
    return rows.mean(0)


def plain_step(
    weights: Tensor, holders: int, aggregate: Callable[[Tensor], Tensor] = mean
) -> Tensor:
    """Return the weights (d,) after a round in plain torch and float64, without privacy."""
    module, rows = model().double(), []
    nn.utils.vector_to_parameters(weights, module.parameters())
    for holder in range(holders):
        inputs, labels = tensors(holder)
        loss = nn.functional.cross_entropy(module(inputs.double()), labels)
        found = torch.autograd.grad(loss, list(module.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return weights - RATE * aggregate(torch.stack(rows))


def plain_loop(holders: int, rounds: int, aggregate: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the weights after the rounds of a plain loop."""
    weights = flat(model()).double()
    for _ in range(rounds):
        weights = plain_step(weights, holders, aggregate)
    return weights


def report(
    run: ReleaseRequest,
    peer: str,
    package: str,
    weights: Tensor,
    aggregate: Callable[[Tensor], Tensor] | None = mean,
) -> None:
    """Check the weights against the plain loop where they can agree, and print the JSON line.

    Args:
        run: the command line with the ends of all rounds.
        peer: name of the script.
        package: distribution whose version counts.
        weights: the global weights after all rounds, (d,).
        aggregate: what the plain loop does with the gradients; None: it has no counterpart.
    """

    def difference() -> float:
        expected = plain_loop(run.holders, run.total, aggregate)
        return float((weights.detach().double() - expected).abs().max())

    write(run, peer, package, None if run.private or aggregate is None else difference)


def write(
    run: ReleaseRequest,
    peer: str,
    package: str,
    difference: Callable[[], float] | None,
    **more: object,
) -> None:
    """Print what was measured as one JSON line.

    Args:
        run: the command line with the ends of all rounds.
        peer: name of the script.
        package: distribution whose version counts.
        difference: the largest one from what is known to be right; None: nothing to compare.
        more: what else there is to say.
    """
    ends = np.array(run.ends)
    own, children = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    found = {
        "peer": peer,
        "variant": run.variant,
        "version": version(package),
        "holders": run.holders,
        "private": run.private,
        "rounds_ms": (1000 * np.diff(ends))[-run.rounds :].round(3).tolist(),
        "start_s": round(ends[-run.rounds - 1] - began(), 3),
        "total_s": round(ends[-1] - began(), 3),
        "rss_mb": round(max(own, children)),
        "checked": None,
        **more,
    }
    if difference is not None and not run.unchecked:
        if not (far := difference()) < TOLERANCE:
            raise SystemExit(f"{peer}: differs by {far} from the plain loop")
        found["checked"] = True
    print(json.dumps(found), flush=True)


def began() -> float:
    """Return when this process began, on the clock of ``perf_counter``."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.perf_counter() - age


def quiet() -> None:
    """Turn off what peers would report to their makers."""
    os.environ.update(
        FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0", WANDB_MODE="disabled"
    )
