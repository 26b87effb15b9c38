# ruff: noqa: ARG002, D102 - the peer names these methods and their arguments
"""fluke: its centralised federated averaging, and its DPFedAVG, which uses Opacus."""

from __future__ import annotations

import workload

workload.quiet()

import torch  # noqa: E402
from fluke import DDict  # noqa: E402
from fluke.algorithms import CentralizedFL  # noqa: E402
from fluke.algorithms.dpfedavg import DPFedAVG  # noqa: E402
from fluke.client import Client  # noqa: E402
from fluke.data import FastDataLoader  # noqa: E402
from fluke.utils import FederationObserver  # noqa: E402


class Splitter:
    """Deals the records of the workload in the place of fluke's own splitter."""

    def assign(self, holders: int, batch_size: int):
        loaders = [
            FastDataLoader(
                *workload.tensors(holder), num_labels=workload.CLASSES, batch_size=batch_size
            )
            for holder in range(holders)
        ]
        return (loaders, [None] * holders), None


class PrivateClient(Client):
    """fluke's client, its gradient clipped and noised where fluke clips it."""

    def _clip_grads(self, model) -> None:
        workload.privatise([parameter.grad for parameter in model.parameters()])


class Private(CentralizedFL):
    """Federated averaging of such clients."""

    def get_client_class(self):
        return PrivateClient


class Ticks(FederationObserver):
    """Notes when rounds end."""

    def __init__(self, run) -> None:
        self.run = run

    def end_round(self, round) -> None:  # noqa: A002 - fluke's name
        self.run.tick()


def main() -> None:
    """Run, and print the line."""
    run = workload.asked("dpfedavg")
    client = {
        "batch_size": workload.RECORDS,
        "local_epochs": 1,
        "loss": torch.nn.CrossEntropyLoss,
        "optimizer": {"name": "SGD", "lr": workload.RATE},
        "scheduler": {"name": "StepLR", "step_size": 1, "gamma": 1.0},
    }
    kind = Private if run.private else CentralizedFL
    if run.variant == "dpfedavg":
        kind = DPFedAVG
        client |= {"noise_mul": workload.SIGMA, "max_grad_norm": workload.CLIP}
    algorithm = kind(
        run.holders,
        Splitter(),
        DDict(
            model=workload.model(),
            client=DDict(**client),
            server=DDict(weighted=False),
        ),
    )
    algorithm.set_callbacks([Ticks(run)])
    run.tick()
    algorithm.run(run.total, 1.0)
    aggregate = workload.mean if kind is CentralizedFL else None
    workload.report(run, "fluke", "fluke-fl", workload.flat(algorithm.server.model), aggregate)


if __name__ == "__main__":
    main()
