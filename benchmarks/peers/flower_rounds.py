# ruff: noqa: ARG001, D102 - the peer names these methods and their arguments
"""Flower: federated averaging on its simulation runtime, which is Ray, noise in user code."""

from __future__ import annotations

import workload

workload.quiet()

import torch  # noqa: E402
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.serverapp import ServerApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402


def client(private: bool, threads: int) -> ClientApp:
    """Return the app of every client: load, one step, send back."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        torch.set_num_threads(threads)
        module = workload.model()
        module.load_state_dict(message.content["arrays"].to_torch_state_dict())
        inputs, labels = workload.tensors(int(context.node_config["partition-id"]))
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()
        if private:
            workload.privatise([parameter.grad for parameter in module.parameters()])
        torch.optim.SGD(module.parameters(), lr=workload.RATE).step()
        content = RecordDict(
            {
                "arrays": ArrayRecord(module.state_dict()),
                "metrics": MetricRecord({"num-examples": workload.RECORDS}),
            }
        )
        return Message(content=content, reply_to=message)

    return app


class Ticking(FedAvg):
    """Federated averaging, noting when rounds end."""

    def __init__(self, run, **options) -> None:
        super().__init__(**options)
        self.run = run

    def configure_train(self, server_round, arrays, config, grid):
        if server_round == 1:
            self.run.tick()
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round, replies):
        found = super().aggregate_train(server_round, replies)
        self.run.tick()
        return found


def main() -> None:
    """Run, and print the line."""
    run = workload.asked()
    strategy = Ticking(
        run,
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=run.holders,
        min_evaluate_nodes=0,
        min_available_nodes=run.holders,
    )
    server, found = ServerApp(), []

    @server.main()
    def serve(grid, context):
        arrays = ArrayRecord(workload.model().state_dict())
        found.append(strategy.start(grid, arrays, num_rounds=run.total).arrays)

    run_simulation(
        server,
        client(run.private, threads=1),  # an actor a core
        num_supernodes=run.holders,
        backend_config={
            "init_args": {"num_cpus": run.threads, "include_dashboard": False},
            "client_resources": {"num_cpus": 1, "num_gpus": 0},
        },
    )
    state = found[0].to_torch_state_dict()
    weights = torch.cat([value.flatten() for value in state.values()])
    workload.report(run, "flower", "flwr", weights)


if __name__ == "__main__":
    main()
