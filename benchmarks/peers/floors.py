# ruff: noqa: ARG002, D102 - the floors share one signature
"""Floors: what plain torch needs for the same rounds, without a simulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
import workload
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap


class Loop:
    """One holder after the other: autograd."""

    def __init__(self, module: nn.Module, holders: int) -> None:
        self.module = module
        self.records = [workload.tensors(holder) for holder in range(holders)]

    def __call__(self, rows: Tensor) -> None:
        """Write the gradients (n, d)."""
        for row, (inputs, labels) in zip(rows, self.records, strict=True):
            loss = nn.functional.cross_entropy(self.module(inputs), labels)
            found = torch.autograd.grad(loss, list(self.module.parameters()))
            torch.cat([each.flatten() for each in found], out=row)


class Vmap:
    """All holders at once: vmap of grad."""

    def __init__(self, module: nn.Module, holders: int) -> None:
        pairs = [workload.tensors(holder) for holder in range(holders)]
        self.inputs, self.labels = (torch.stack(each) for each in zip(*pairs, strict=True))
        self.module = module

        def loss(parameters, inputs, labels):
            outputs = functional_call(module, parameters, (inputs,))
            return nn.functional.cross_entropy(outputs, labels)

        self.gradients = vmap(grad(loss), (None, 0, 0))

    def __call__(self, rows: Tensor) -> None:
        parameters = {name: each.detach() for name, each in self.module.named_parameters()}
        found = self.gradients(parameters, self.inputs, self.labels)
        torch.cat([each.flatten(1) for each in found.values()], dim=1, out=rows)


class Segments:
    """All records as one batch, the gradients of weights by one product a holder and layer."""

    def __init__(self, module: nn.Module, holders: int) -> None:
        pairs = [workload.tensors(holder) for holder in range(holders)]
        self.inputs, labels = (torch.stack(each) for each in zip(*pairs, strict=True))
        self.labels = nn.functional.one_hot(labels, workload.CLASSES).float()
        self.first, self.last = module[0], module[2]

    @torch.no_grad()
    def __call__(self, rows: Tensor) -> None:
        count, inputs = len(rows), self.inputs
        hidden = self.first(inputs.flatten(0, 1)).relu_()
        errors = (self.last(hidden).softmax(1) - self.labels.flatten(0, 1)) / workload.RECORDS
        below = (errors @ self.last.weight).mul_(hidden > 0)
        start = 0
        for error, given in ((below, inputs), (errors, hidden)):
            error, given = (each.view(count, workload.RECORDS, -1) for each in (error, given))
            weight, bias = error.shape[2] * given.shape[2], error.shape[2]
            out = rows[:, start : start + weight].view(count, bias, -1)
            torch.bmm(error.transpose(1, 2), given, out=out)
            start += weight
            torch.sum(error, dim=1, out=rows[:, start : start + bias])
            start += bias


class Noise:
    """Nothing but noise: every thread fills its rows from a generator of its own."""

    def __init__(self, module: nn.Module, holders: int) -> None:
        self.threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(
            self.threads, initializer=torch.set_num_threads, initargs=(1,)
        )
        self.generators = [torch.Generator().manual_seed(k) for k in range(self.threads)]

    def __call__(self, rows: Tensor) -> None:
        parts = rows.tensor_split(self.threads)
        list(self.pool.map(lambda p, g: p.normal_(generator=g), parts, self.generators))


FLOORS = {"loop": Loop, "vmap": Vmap, "segments": Segments, "noise": Noise}


def main() -> None:
    """Run, and print the line."""
    run = workload.asked(*FLOORS)
    module = workload.model()
    floor = FLOORS[run.variant](module, run.holders)
    parameters = list(module.parameters())
    sizes = [each.numel() for each in parameters]
    rows = torch.empty(run.holders, sum(sizes))
    run.tick()
    for _ in range(run.total):
        floor(rows)
        if run.variant != "noise":
            if run.private:
                factors = workload.CLIP / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
                rows.mul_(factors.clamp_(max=1)).add_(torch.randn_like(rows), alpha=workload.SIGMA)
            step = rows.mean(0).split(sizes)
            with torch.no_grad():
                for parameter, part in zip(parameters, step, strict=True):
                    parameter.sub_(part.view_as(parameter), alpha=workload.RATE)
        run.tick()
    aggregate = None if run.variant == "noise" else workload.mean
    workload.report(run, "floors", "torch", workload.flat(module), aggregate)


if __name__ == "__main__":
    main()
