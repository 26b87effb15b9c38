"""Measuring of back ends: all in turn, many times, each compared with eager PyTorch."""

from __future__ import annotations

import contextlib
import math
import platform
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from fedchain.registry import Part
from fedchain.scans.benchmark.backends import BACKENDS, EAGER, Backend, Inference, Training
from fedchain.scans.benchmark.workload import FULL, Workload, workload_of

ROUNDING_LIMITS = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest difference from eager, by the precision of the products, that counts as rounding. The
differences of bfloat16 are a few times 2^-8, those of TF32 on a GPU a few times 2^-11."""
WARM = 3
"""Calls of a back end before the first that is timed: jit compiles in the second."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one computation takes: medians over all turns."""

    wall_ms: float
    """Milliseconds on the clock."""
    processor_ms: float
    """Milliseconds of all processors together, which other load on the machine changes little; on a
    GPU, what the processor does to feed it."""
    wall_to_eager: float
    """Median of the ratios to eager on the same device in the same turn, on the clock."""
    processor_to_eager: float
    """The same of the time of the processors."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One back end on one device: a row of the table."""

    device: str
    """Name of the processor or of the GPU."""
    api: str
    """The library."""
    backend: str
    """The way in which the library computes."""
    threads: int | None
    """Number of threads; None on a GPU."""
    train: Timing | None = None
    """A step of training, for each scan of its batch; None if the back end does not train."""
    inference: Timing | None = None
    """The logits of one scan; None if the back end could not be used."""
    ready_s: float | None = None
    """Seconds of the preparation: export, compilation, first calls."""
    difference: float | None = None
    """Largest difference of a logit from eager on the CPU, as a share of the largest logit."""
    gradient_difference: float | None = None
    """The same of the gradient of the first step, as a share of its largest value."""
    differs: bool = False
    """Whether a difference is beyond ``ROUNDING_LIMITS``."""
    skipped: str = ""
    """Why the back end was not measured; empty if it was."""


class Times(NamedTuple):
    """Times of one call, in milliseconds."""

    wall_ms: float
    processor_ms: float


@dataclass(frozen=True, eq=False)
class _Runner:
    """A back end that is ready to be timed, and its times, one for each turn."""

    row: Row
    infer: Inference
    training: Training | None
    inference_times: list[Times] = field(default_factory=list)
    train_times: list[Times] = field(default_factory=list)


def measure_backends(
    *,
    model: Part = FULL,
    size: tuple[int, int] = (256, 256),
    batch: int = 2,
    repeats: int = 5,
    threads: Sequence[int] = (1, 2),
    training: bool = True,
    backends: Collection[Backend] = BACKENDS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Measure a model by every back end, on the CPU and on a CUDA GPU if there is one.

    The back ends take turns, so that other load on the machine slows all of them. The images are
    random, and so are the weights, which are large enough for the logits to depend on the images.

    Args:
        model: kind and parameters of a scan model.
        size: height and width of an image in pixels.
        batch: number of scans of a step of training; inference takes one scan.
        repeats: number of turns; each times every back end once.
        threads: numbers of threads on the CPU. All rows of the CPU are compared with eager PyTorch
            with the first number, for which alone a model is compiled.
        training: whether steps of training are measured, too.
        backends: back ends to measure beside eager PyTorch, which is always measured.
        progress: is told what is being prepared or measured.

    Returns:
        A row for each back end, device and number of threads. A back end that cannot be used has a
        row that says why.

    Raises:
        ValueError: the model does not fit images of this size.
    """
    workload = workload_of(model, size, batch)
    wanted = [EAGER, *(each for each in backends if each is not EAGER)]
    rows: list[Row] = []
    with _threads_restored():
        known = _answers(workload)
        for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
            runners: list[_Runner] = []
            for count in threads if device == "cpu" else threads[:1]:
                for backend in wanted:
                    again = count != threads[0] and backend.slow_to_prepare
                    if again or device not in backend.devices:
                        continue
                    progress(f"prepare {backend.api}, {backend.name}")
                    made = _prepared(backend, workload, (device, count), training, known)
                    if isinstance(made, Row):
                        rows.append(made)
                    else:
                        runners.append(made)
            for turn in range(repeats):
                progress(f"measure, turn {turn + 1} of {repeats}")
                for runner in runners:
                    _take_turn(runner, workload)
            rows += [_measured(runner, runners[0]) for runner in runners]
    return sorted(rows, key=lambda row: bool(row.skipped))


@dataclass(frozen=True, eq=False)
class _Answers:
    """What eager PyTorch computes on the CPU."""

    logits: torch.Tensor
    gradient: torch.Tensor


def _answers(workload: Workload) -> _Answers:
    assert EAGER.training is not None
    training = EAGER.training(workload, "cpu")
    training.step()
    return _Answers(EAGER.inference(workload, "cpu", 1)(), _gradient(training.model))


def _gradient(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None])


def _distance(found: torch.Tensor, known: torch.Tensor) -> float:
    if found.shape != known.shape:
        return math.inf
    gap = float((found - known).abs().max() / known.abs().max())
    return math.inf if math.isnan(gap) else gap


def _prepared(
    backend: Backend,
    workload: Workload,
    place: tuple[str, int],
    trains: bool,
    known: _Answers,
) -> _Runner | Row:
    """Return a back end that is ready to be timed, or the row that says why it cannot be used."""
    device, threads = place
    torch.set_num_threads(threads)
    row = Row(
        device=processor_name() if device == "cpu" else torch.cuda.get_device_name(),
        api=backend.api,
        backend=backend.name,
        threads=threads if device == "cpu" else None,
    )
    started, gap = time.perf_counter(), None
    try:
        infer, training = backend.inference(workload, device, threads), None
        difference = max(_distance(infer(), known.logits) for _ in range(WARM))
        if trains and backend.training:
            training = backend.training(workload, device)
            training.step()
            gap = _distance(_gradient(training.model), known.gradient)
            training.step()
    except Exception as error:  # any library may fail in any way, and the others are measured
        return replace(row, skipped=str(error).strip().partition("\n")[0] or type(error).__name__)
    row = replace(
        row,
        ready_s=time.perf_counter() - started,
        difference=difference,
        gradient_difference=gap,
        differs=max(difference, gap or 0.0) > ROUNDING_LIMITS[backend.precision],
    )
    return _Runner(row, infer, training)


def _take_turn(runner: _Runner, workload: Workload) -> None:
    torch.set_num_threads(runner.row.threads or 1)
    runner.inference_times.append(_times_of(runner.infer, 1))
    if runner.training is not None:
        runner.train_times.append(_times_of(runner.training.step, len(workload.images)))


def _times_of(call: Callable[[], object], scans: int) -> Times:
    """Return the times of a call for each of its scans."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    taken = time.perf_counter() - wall, time.process_time() - processor
    return Times(*(1000 * each / scans for each in taken))


def _measured(runner: _Runner, eager: _Runner) -> Row:
    return replace(
        runner.row,
        inference=timing_of(runner.inference_times, eager.inference_times),
        train=timing_of(runner.train_times, eager.train_times) if runner.training else None,
    )


def timing_of(times: Sequence[Times], eager: Sequence[Times]) -> Timing:
    """Return the medians over all turns; both sequences have the times of one turn after another.

    The ratios are taken within a turn: a turn in which the machine is slow slows both times.
    """
    both = list(zip(times, eager, strict=True))
    return Timing(
        wall_ms=statistics.median(own.wall_ms for own in times),
        processor_ms=statistics.median(own.processor_ms for own in times),
        wall_to_eager=statistics.median(own.wall_ms / to.wall_ms for own, to in both),
        processor_to_eager=statistics.median(
            own.processor_ms / max(to.processor_ms, 1e-6) for own, to in both
        ),
    )


@contextlib.contextmanager
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.compiler.reset()


def processor_name() -> str:
    """Return the name of this machine's processor, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
