# ruff: noqa: ARG002, D102 - the peer names these methods and their arguments
"""FedLab: its serial trainer and its standalone pipeline, noise in user code."""

from __future__ import annotations

import logging

import torch
import workload
from fedlab.contrib.algorithm.fedavg import FedAvgSerialClientTrainer, FedAvgServerHandler
from fedlab.contrib.dataset.basic_dataset import FedDataset
from fedlab.core.standalone import StandalonePipeline


class Holders(FedDataset):
    """The records of all holders; a loader is a list with one whole batch."""

    def __init__(self, holders: int) -> None:
        self.batches = [[workload.tensors(holder)] for holder in range(holders)]

    def get_dataloader(self, id, batch_size=None):  # noqa: A002 - FedLab's name
        return self.batches[id]


class PrivateTrainer(FedAvgSerialClientTrainer):
    """FedLab's loop with one line more: the gradient is made private before the step."""

    def train(self, model_parameters, train_loader):
        self.set_model(model_parameters)
        self._model.train()
        for _ in range(self.epochs):
            for inputs, labels in train_loader:
                loss = self.criterion(self.model(inputs), labels)
                self.optimizer.zero_grad()
                loss.backward()
                workload.privatise([parameter.grad for parameter in self._model.parameters()])
                self.optimizer.step()
        return [self.model_parameters]


class Pipeline(StandalonePipeline):
    """The standalone pipeline, noting when rounds end."""

    def __init__(self, handler, trainer, run) -> None:
        super().__init__(handler, trainer)
        self.run = run

    def evaluate(self) -> None:
        self.run.tick()


def main() -> None:
    """Run, and print the line."""
    logging.disable(logging.WARNING)
    run = workload.asked()
    kind = PrivateTrainer if run.private else FedAvgSerialClientTrainer
    trainer = kind(workload.model(), run.holders, cuda=False, logger=logging.getLogger("fedlab"))
    trainer.setup_dataset(Holders(run.holders))
    trainer.setup_optim(epochs=1, batch_size=workload.RECORDS, lr=workload.RATE)
    handler = FedAvgServerHandler(
        workload.model(), run.total, 1.0, cuda=False, logger=logging.getLogger("fedlab")
    )
    pipeline = Pipeline(handler, trainer, run)
    run.tick()
    pipeline.main()
    workload.report(run, "fedlab", "fedlab", torch.as_tensor(handler.model_parameters))


if __name__ == "__main__":
    main()
