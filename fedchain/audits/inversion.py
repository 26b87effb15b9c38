"""Gradient inversion: reconstruct pictures of records from the directions that holders publish.

The attacker knows the model, the weights of the parent block and the targets. A failure is no
evidence of privacy: another attack may do better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from fedchain.agreement import mechanism_of, sampling_of
from fedchain.arrays import Array, Vector
from fedchain.audits.pictures import (
    PICTURED,
    Pictures,
    PictureStrips,
    ValueRange,
    draw_strip,
    first_channel,
    matched,
    mean_psnr,
    mean_ssim,
)
from fedchain.audits.record import Audit, AuditRow
from fedchain.audits.runs_for_audit import (
    AuditProgress,
    Subject,
    for_audit,
    ledger_of,
    refuse_local_steps,
    releases_of,
)
from fedchain.errors import Problem, ScenarioError
from fedchain.learning.evaluation import dimension, load_weights
from fedchain.learning.task import Task, tasks
from fedchain.privacy.mechanisms import Mechanism
from fedchain.randomness import stream
from fedchain.results import Run
from fedchain.results.findings import Finding
from fedchain.scenario import Scenario

if TYPE_CHECKING:
    import torch

    from fedchain.reports.figures.style import Drawing

VICTIMS = 4
"""Number of holders that are attacked."""
STEPS, STEP = 2000, 0.1
"""Number of Adam steps, and size of the first step as a multiple of half the range of the
inputs."""
SMOOTHNESS = 1e-3
"""Weight of the total variation in the attack's objective, relative to the cosine distance."""


class InversionRow(AuditRow):
    """How close reconstructed records are to the true ones."""

    psnr: float
    """Peak signal-to-noise ratio of the reconstruction, dB."""
    psnr_prior: float
    """Peak signal-to-noise ratio of the guess without any gradient, dB."""
    ssim: float
    """Structural similarity of the reconstruction, at most 1."""
    ssim_prior: float
    """Structural similarity of the guess without any gradient, at most 1."""
    range: ValueRange
    """Least and largest value of an input."""
    pictures: Annotated[PictureStrips, Field(repr=False)]
    """Pictures of the first records: true, guessed and reconstructed."""


def inversion_findings(subject: Subject) -> Iterator[Finding]:
    """Yield one finding per claimed epsilon: how close reconstructed records are to the true ones.

    The audit attacks the first holders in one round, with few records per holder. For comparison,
    the finding also rates the best guess without any gradient.

    Raises:
        ScenarioError: records are not pictures, holders form groups, or holders train locally.

    Reference:
        Geiping et al., "Inverting Gradients - How easy is it to break privacy in federated
        learning?", 2020.
    """
    for claim in subject.claims():
        scenario = one_round(claim, subject.choices.records)
        mechanism, rounds = noise_of(claim), sampling_of(claim).most_releases
        total = mechanism.epsilon_after(rounds)
        task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
        low, high = range_of(task)
        run = subject.run(scenario)
        pairs: list[tuple[Pictures, Pictures, Pictures]] = []
        with ledger_of(run) as store:  # the parent of round 1
            weights = store.state(store.genesis.header.hash).weights
        for holder, direction in directions_of(run).items():
            own = task.holders[holder]
            found = inverted(task, own.targets, direction, weights, holder, subject.progress)
            truth, prior = own.inputs.astype(np.float64), prior_of(task, own.targets)
            pairs.append((truth, matched(truth, found), matched(truth, prior)))
        truths, inverses, priors = (np.concatenate(each) for each in zip(*pairs, strict=True))
        peak = high - low
        yield {
            "claimed": total if math.isfinite(total) else None,
            "delta": mechanism.terms.delta,
            "runs": [str(run.folder)],
            "records": subject.choices.records,
            "trials": len(truths),
            "psnr": mean_psnr(truths, inverses, peak),
            "psnr_prior": mean_psnr(truths, priors, peak),
            "ssim": mean_ssim(truths, inverses, peak),
            "ssim_prior": mean_ssim(truths, priors, peak),
            "range": [low, high],
            "pictures": {
                name: first_channel(pictures[:PICTURED]).tolist()
                for name, pictures in (("truth", truths), ("prior", priors), ("found", inverses))
            },
        }


def one_round(scenario: Scenario, records: int) -> Scenario:
    """Return the scenario cut to one round and few records per holder, with unchanged noise.

    Raises:
        ScenarioError: records are not pictures, holders form groups, or holders train locally.
    """
    if scenario.nodes.groups is not None:
        text = "inversion looks for the records of one holder in its message; only null is allowed"
        raise ScenarioError([Problem(("nodes", "groups"), text)])
    refuse_local_steps(scenario, "inversion looks for records")
    task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
    if task.held_out.inputs.ndim not in (3, 4):
        text = f"{scenario.task.kind}: its records are no pictures; inversion looks for pictures"
        raise ScenarioError([Problem(("task",), text)])
    few = {"of": scenario.task.plain(), "data_seed": scenario.seed, "records": records}
    values: dict[str, Any] = {"task": {"kind": "subset", **few}, "rounds": 1, "attacks": []}
    if "noise_multiplier" in scenario.privacy.parameters:
        noise = noise_of(scenario).noise_multiplier
        kept = scenario.privacy.plain()
        if "spare_releases" in kept:
            kept["spare_releases"] = 0
        if noise > 0:
            kept |= {"epsilon": None, "noise_multiplier": noise}
        values["privacy"] = kept
    return for_audit(scenario, values)


def noise_of(scenario: Scenario) -> Mechanism:
    """Return the mechanism of a scenario, with the noise for all rounds.

    Raises:
        ScenarioError: a part refuses its parameters.
    """
    try:
        task = tasks.build(scenario.task, scenario.nodes.holders, scenario.seed)
        return mechanism_of(scenario, dimension(task.model()))
    except (ValueError, ArithmeticError) as error:
        raise ScenarioError([], str(error)) from error


def directions_of(run: Run) -> dict[int, Vector]:
    """Return the noisy gradients that the first holders published in round 1, by holder id."""
    heard = sorted(releases_of(run), key=lambda released: released.holder)[:VICTIMS]
    return {released.holder: released.vector for released in heard}


def range_of(task: Task) -> tuple[float, float]:
    """Return the least and the largest value of the held-out inputs."""
    return float(task.held_out.inputs.min()), float(task.held_out.inputs.max())


def prior_of(task: Task, targets: Array) -> Pictures:
    """Return the best guess of the pictures with these targets, without any gradient.

    For each target, the guess is the mean held-out picture of its class. If the targets are not
    classes, the guess is the mean of all held-out pictures.
    """
    inputs, known = task.held_out.inputs.astype(np.float64), task.held_out.targets
    if known.ndim > 1:
        return np.repeat(inputs.mean(axis=0)[None], len(targets), axis=0)
    means = {label: inputs[known == label].mean(axis=0) for label in np.unique(targets)}
    return np.stack([means[label] for label in targets])


def inverted(
    task: Task,
    targets: Array,
    direction: Vector,
    weights: Vector,
    holder: int,
    progress: AuditProgress,
) -> Pictures:
    """Return n pictures, in any order, whose mean gradient has the direction of a message.

    The pictures minimise the cosine distance of the gradients plus a weighted total variation
    (Geiping et al., 2020).

    Args:
        task: its model and loss are used, and its held-out records limit the range of the pictures.
        targets: targets of the n records, which the attacker knows, shape (n, ..).
        direction: the published gradient, of any norm, as one flat vector.
        weights: the weights at which the gradient was computed, as one flat vector.
        holder: id of the holder, which seeds the random initial pictures.
        progress: called with (current activity, steps done, steps in all).
    """
    import torch

    module = task.model().eval()
    load_weights(module, weights)
    wanted = torch.from_numpy((direction / (np.linalg.norm(direction) or 1.0)).astype(np.float32))
    known = torch.tensor(targets)
    shape = (len(targets), *task.held_out.inputs.shape[1:])
    low, high = range_of(task)
    middle, half = (high + low) / 2, (high - low) / 2
    start = middle + half * 0.5 * stream(0, "inversion", holder).standard_normal(shape)
    inputs = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    adam = torch.optim.Adam([inputs], lr=STEP * half)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    parameters = list(module.parameters())
    for step in range(STEPS):
        total = task.loss(module(inputs), known).mean()
        found = torch.autograd.grad(total, parameters, create_graph=True)
        gradient = torch.cat([each.flatten() for each in found])
        cosine = gradient @ wanted / (gradient.norm() + 1e-12)
        (1 - cosine + SMOOTHNESS / half * _variation(inputs)).backward()
        assert inputs.grad is not None
        inputs.grad.sign_()
        adam.step()
        schedule.step()
        adam.zero_grad()
        with torch.no_grad():
            inputs.clamp_(low, high)
        if step % 50 == 49:
            progress(f"inverting holder {holder}", step + 1, STEPS)
    return np.asarray(inputs.detach().double().numpy())


def _variation(pictures: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference between neighbouring pixels."""
    down = (pictures[..., 1:, :] - pictures[..., :-1, :]).abs().mean()
    right = (pictures[..., :, 1:] - pictures[..., :, :-1]).abs().mean()
    total: torch.Tensor = down + right
    return total


def reconstructed_pictures(rows: Sequence[InversionRow]) -> Drawing:
    """Plot true records, guesses made without a gradient, and reconstructions at each epsilon."""
    from fedchain.reports.figures import style
    from fedchain.reports.figures.paper import width

    first = rows[0]
    strips = [("truth", first, first.pictures.truth), ("public mean", first, first.pictures.prior)]
    strips += [(row.claim, row, row.pictures.found) for row in rows]
    columns = min(PICTURED, len(first.pictures.truth))
    with style.styled():
        figure = style.figure(width() / (columns + 1) * len(strips))
        grid = figure.subplots(len(strips), columns, squeeze=False)
        for line, (words, row, strip) in zip(grid, strips, strict=True):
            draw_strip(line, strip, row.range)
            line[0].set_ylabel(words, rotation=0, ha="right", va="center")
    caption = (
        "Records as the model is given them, the mean public picture of their class, and what an "
        "attacker makes of the published direction of one round (gradient inversion). That this "
        "attack fails does not prove that the directions give nothing."
    )
    return style.finished("reconstructed_pictures", caption, figure)


INVERSION = Audit(
    name="inversion",
    attack=inversion_findings,
    row=InversionRow,
    columns={
        "claimed": "ε claimed",
        "trials": "records",
        "psnr": "PSNR, dB",
        "psnr_prior": "without gradient",
        "ssim": "SSIM",
        "ssim_prior": "without gradient",
    },
    figure=reconstructed_pictures,
    unseen="It is one attack on one round: that it fails proves no privacy.",
)
