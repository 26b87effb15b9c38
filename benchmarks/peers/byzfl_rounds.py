"""ByzFL: its clients and its server with the mean or MultiKrum, noise in user code."""

from __future__ import annotations

import byzfl.fed_framework.models as byzfl_models
import torch
import workload
from byzfl import Client, MultiKrum, Server
from torch.utils.data import DataLoader, IterableDataset


class Whole(IterableDataset):
    """All records of a holder as one batch, again and again: nothing is collated."""

    def __init__(self, inputs, labels) -> None:
        self.batch = inputs, labels

    def __iter__(self):
        while True:
            yield self.batch


def main() -> None:
    """Run, and print the line."""
    run = workload.asked("multikrum")
    byzfl_models.benchmark_mlp = workload.model  # ByzFL looks models up in its own module
    clients = [client(holder) for holder in range(run.holders)]
    server = Server(
        {
            "device": "cpu",
            "model_name": "benchmark_mlp",
            "test_loader": DataLoader(Whole(*workload.tensors(0)), batch_size=None),
            "optimizer_name": "SGD",
            "learning_rate": workload.RATE,
            "weight_decay": 0.0,
            "milestones": [],
            "learning_rate_decay": 1.0,
            "aggregator_info": rule(run),
            "pre_agg_list": [],
        }
    )
    run.tick()
    for _ in range(run.total):
        state = server.get_dict_parameters()
        gradients = []
        for each in clients:
            each.set_model_state(state)
            each.compute_gradients()
            gradient = each.get_flat_gradients_with_momentum()
            if run.private:
                workload.privatise([gradient])
            gradients.append(gradient)
        server.update_model_with_gradients(gradients)
        run.tick()
    weights = torch.as_tensor(server.get_flat_parameters())
    krum = MultiKrum(f=byzantine(run.holders))
    aggregate = krum if run.variant == "multikrum" else workload.mean
    workload.report(run, "byzfl", "byzfl", weights, aggregate)


def client(holder: int) -> Client:
    """Return a client that computes one full-batch gradient a round, without momentum."""
    return Client(
        {
            "device": "cpu",
            "model_name": "benchmark_mlp",
            "loss_name": "CrossEntropyLoss",
            "LabelFlipping": False,
            "nb_labels": workload.CLASSES,
            "momentum": 0.0,
            "training_dataloader": DataLoader(Whole(*workload.tensors(holder)), batch_size=None),
            "store_per_client_metrics": False,
        }
    )


def byzantine(holders: int) -> int:
    """Return how many of the holders MultiKrum believes to lie: a tenth."""
    return holders // 10


def rule(run: workload.ReleaseRequest) -> dict:
    """Return the aggregation in ByzFL's words."""
    if run.variant == "multikrum":
        return {"name": "MultiKrum", "parameters": {"f": byzantine(run.holders)}}
    return {"name": "Average", "parameters": {}}


if __name__ == "__main__":
    main()
