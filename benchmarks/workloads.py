"""The workloads as tasks of fedchain: ``kind: workloads:mlp`` and ``kind: workloads:unet``.

A scenario finds them when this folder is on Python's path.
"""

from __future__ import annotations

from typing import Any

from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import Records, Task
from fedchain.scans.losses import bce


def mlp(holders: int, seed: int, *, hidden: int = 64, records: int = 60) -> Task:  # noqa: ARG001
    """Learn a dense network 784-64-10 from random numbers, the same numbers as the peers.

    Args:
        holders: number of data holders.
        seed: not used: all simulators have the same data.
        hidden: width of the hidden layer.
        records: number of records of each holder.
    """
    from peers import workload

    return Task(
        name="mlp",
        holders=tuple(Records(*workload.records(k, records)) for k in range(holders)),
        held_out=Records(*workload.records(holders, records)),
        model=lambda: workload.model(hidden),
        loss=cross_entropy(),
        measure=lambda outputs, known: {
            "accuracy": float((outputs.argmax(1) == known.targets).mean())
        },
        score="accuracy",
        baselines={},
    )


def unet(holders: int, seed: int) -> Task:  # noqa: ARG001
    """Learn a small U-Net from random images.

    Args:
        holders: number of data holders, with 8 scans each.
        seed: not used.
    """
    from peers import scans

    return Task(
        name="unet",
        holders=tuple(Records(*scans.scans(k)) for k in range(holders)),
        held_out=Records(*scans.scans(holders)),
        model=scans.network,
        loss=bce(),  # the same losses as scans.losses, known to the kernels
        measure=lambda outputs, known: {
            "iou": float(((outputs[:, 0] > 0) == known.targets).mean())
        },
        score="iou",
        baselines={},
    )


def scenario(task: str, holders: int, rounds: int, *, private: bool, clip: float) -> dict[str, Any]:
    """Return the scenario of a workload with the full protocol, three compute nodes.

    Args:
        task: ``mlp`` or ``unet``.
        holders: number of holders.
        rounds: number of rounds.
        private: clip and add Gaussian noise, by holder for ``mlp``, by record for ``unet``.
        clip: bound on the norm of the clipped gradients.
    """
    unit = "holder" if task == "mlp" else "record"
    noise = {"kind": "gaussian", "noise_multiplier": 1.0, "clip": clip, "unit": unit}
    return {
        "version": 1,
        "name": f"{task}-{holders}",
        "rounds": rounds,
        "task": {"kind": f"workloads:{task}"},
        "nodes": {"holders": holders, "compute": 3},
        "privacy": noise if private else {"kind": "none"},
        "aggregation": {"kind": "l_nearest", "keep": kept(holders)},
        "update": {"kind": "gradient_descent", "learning_rate": 0.1},
        "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 8}, "quorum": 1.0},
        "evaluate": {"every": rounds, "samples": 0},
    }


def kept(holders: int) -> int:
    """Return the number of gradients that l-nearest uses: seven of ten.

    >>> kept(50)
    35
    """
    return max(1, 7 * holders // 10)
