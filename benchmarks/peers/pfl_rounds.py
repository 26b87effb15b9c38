# ruff: noqa: ARG002, D102 - the peer names these methods and their arguments
"""pfl: federated averaging on the simulated backend, its own Gaussian mechanism on each user."""

from __future__ import annotations

import logging

import torch
import workload
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from pfl.privacy.gaussian_mechanism import GaussianMechanism
from torch import nn


class Network(nn.Module):
    """The network with the two methods that pfl asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = workload.model()

    def loss(self, inputs, labels, eval=False):  # noqa: A002 - pfl's name
        return nn.functional.cross_entropy(self.layers(inputs), labels)

    def metrics(self, inputs, labels, eval=False):  # noqa: A002
        return {}


class Ticks(TrainingProcessCallback):
    """Notes when rounds end."""

    def __init__(self, run) -> None:
        self.run = run

    def on_train_begin(self, *, model):
        self.run.tick()
        return Metrics()

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        self.run.tick()
        return False, Metrics()


def main() -> None:
    """Run, and print the line."""
    logging.disable(logging.WARNING)
    run = workload.asked()
    users = {
        holder: Dataset(raw_data=workload.tensors(holder), user_id=str(holder))
        for holder in range(run.holders)
    }
    data = FederatedDataset(users.__getitem__, get_user_sampler("minimize_reuse", list(users)))
    # A local rate of 1 makes the difference of a user its gradient, which is what is clipped.
    privacy = [GaussianMechanism(workload.CLIP, workload.SIGMA)] if run.private else []
    backend = SimulatedBackend(training_data=data, val_data=data, postprocessors=privacy)
    network = Network()
    model = PyTorchModel(
        network, torch.optim.SGD, torch.optim.SGD(network.parameters(), lr=workload.RATE)
    )
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=run.total,
            evaluation_frequency=10**9,
            train_cohort_size=run.holders,
            val_cohort_size=None,
        ),
        backend=backend,
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=1.0, local_batch_size=None
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=None),
        callbacks=[Ticks(run)],
        send_metrics_to_platform=False,
    )
    workload.report(run, "pfl", "pfl", workload.flat(network))


if __name__ == "__main__":
    main()
