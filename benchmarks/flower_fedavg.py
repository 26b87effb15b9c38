"""Federated averaging by fedchain and by Flower: accuracy on the same partition of digits.

    pip install --target .flower 'flwr[simulation]==1.42.0'
    PYTHONPATH=.flower python benchmarks/flower_fedavg.py [--seeds 5] [--rounds 20]

Both train the same model from the same weights, on the same records of ten holders, with the same
number of local steps, their size, and the same size of batches; each shuffles by itself, so seeds
are paired in everything but that. Flower runs its strategy FedAvg in its own simulation, with Ray.
fedchain runs ``local`` with the rule ``mean``, weighted by records, and no privacy. Prints a table
of accuracies on the held-out records, and exits with 1 if the means differ by more than .01.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from fedchain.machine import prepare

prepare()
os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.serverapp import ServerApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from fedchain import run  # noqa: E402
from fedchain.learning.task import Task, tasks  # noqa: E402
from fedchain.scenario import Scenario, from_mapping  # noqa: E402

HOLDERS, STEPS, RATE, BATCH = 10, 5, 0.1, 32
MOST_APART = 0.01
"""Largest difference of the two means."""


def scenario_of(seed: int, rounds: int) -> Scenario:
    """Return the scenario of a seed, whose task both simulators learn."""
    return from_mapping(
        {
            "version": 1,
            "name": "fedavg",
            "seed": seed,
            "rounds": rounds,
            "task": {
                "kind": "digits",
                "model": {"kind": "mlp", "hidden": [32]},
                "split": {"kind": "dirichlet", "alpha": 1.0},
            },
            "nodes": {"holders": HOLDERS, "compute": 1},
            "local": {"steps": STEPS, "learning_rate": RATE, "batch": BATCH},
            "privacy": {"kind": "none"},
            "aggregation": {"kind": "mean", "weights": "records"},
            "update": {"kind": "gradient_descent", "learning_rate": RATE},
            "ledger": {"work": {"kind": "sampled", "interval_s": 600}},
        }
    )


def task_of(seed: int) -> Task:
    """Return the task of a seed."""
    return tasks.build(scenario_of(seed, 1).task, HOLDERS, seed)


def by_fedchain(seed: int, rounds: int) -> float:
    """Return the accuracy of fedchain's model after the last round."""
    with tempfile.TemporaryDirectory() as folder:
        return float(run(scenario_of(seed, rounds), folder).metrics[-1]["accuracy"])


client = ClientApp()


@client.train()
def train(message: Message, context: Any) -> Message:
    """Take the local steps of a client, as Flower's examples for torch do."""
    torch.set_num_threads(1)
    seed, round_ = (message.content["config"][name] for name in ("seed", "server-round"))
    holder = int(context.node_config["partition-id"])
    torch.manual_seed(hash((seed, round_, holder)))
    task = task_of(seed)
    records = task.holders[holder]
    model = task.model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    data = TensorDataset(torch.from_numpy(records.inputs), torch.from_numpy(records.targets))
    size = min(BATCH, records.count)
    descent = torch.optim.SGD(model.parameters(), lr=RATE)
    batches = iter(())
    for _ in range(STEPS):
        batch = next(batches, None)
        if batch is None:
            batches = iter(DataLoader(data, batch_size=size, shuffle=True, drop_last=True))
            batch = next(batches)
        descent.zero_grad()
        task.loss(model(batch[0]), batch[1]).mean().backward()
        descent.step()
    told = {
        "arrays": ArrayRecord(model.state_dict()),
        "metrics": MetricRecord({"num-examples": records.count}),
    }
    return Message(content=RecordDict(told), reply_to=message)


def by_flower(seed: int, rounds: int) -> float:
    """Return the accuracy of Flower's model after the last round."""
    server, found = ServerApp(), list[float]()

    @server.main()
    def main(grid: Any, context: Any) -> None:  # noqa: ARG001 - Flower hands it over
        task = task_of(seed)
        strategy = FedAvg(fraction_evaluate=0.0)
        result = strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(task.model().state_dict()),
            train_config=ConfigRecord({"seed": seed}),
            num_rounds=rounds,
        )
        model = task.model()
        model.load_state_dict(result.arrays.to_torch_state_dict())
        with torch.no_grad():
            outputs = model(torch.from_numpy(task.held_out.inputs)).numpy()
        found.append(task.measure(outputs, task.held_out)["accuracy"])

    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=HOLDERS,
        backend_config={"client_resources": {"num_cpus": 1}},
    )
    return found[0]


def main() -> None:
    """Run both with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, 5 by default")
    parser.add_argument("--rounds", type=int, default=20, help="number of rounds, 20 by default")
    asked = parser.parse_args()
    rows = [
        (seed, by_fedchain(seed, asked.rounds), by_flower(seed, asked.rounds))
        for seed in range(asked.seeds)
    ]
    print("| seed | fedchain | Flower |\n| --- | --- | --- |")
    for seed, here, there in rows:
        print(f"| {seed} | {here:.4f} | {there:.4f} |")
    means = [statistics.fmean(row[place] for row in rows) for place in (1, 2)]
    apart = abs(means[0] - means[1])
    spread = np.std([here - there for _, here, there in rows], ddof=1) if len(rows) > 1 else 0.0
    print(f"| mean | {means[0]:.4f} | {means[1]:.4f} |")
    print(f"\nThe means differ by {apart:.4f}; a difference of one seed varies by {spread:.4f}.")
    sys.exit(int(apart > MOST_APART))


if __name__ == "__main__":
    main()
