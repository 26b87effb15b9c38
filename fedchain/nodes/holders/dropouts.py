"""Dropouts: which members a group loses in an attempt, and whether the group's sum is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedchain.nodes.holders.release import ReleaseContext
from fedchain.randomness import uniforms
from fedchain.scenario import Groups
from fedchain.secure_aggregation.assembler import Step


@dataclass(frozen=True, kw_only=True)
class DropoutOutcome:
    """The outcome of one attempt to make a message. The attempt of a single holder never fails."""

    number: int = 1
    """Number of the attempt, from 1."""
    lost: Mapping[int, Step] = field(default_factory=dict)
    """The first step of secure aggregation that each lost member misses, by the member's number in
    the group, from 1."""
    reconstructs: bool = True
    """Whether enough members stay to the end, so that the sum can be opened."""
    is_release: bool = True
    """Whether members are asked for their secret shares. A member cannot know what happens to its
    share, so the attempt counts as a release of each member even if the sum is not opened."""
    again_s: float | None = None
    """Simulated seconds until the next attempt if this one fails; None: no attempt follows."""

    def summed(self, size: int) -> list[int]:
        """Return the members that send their masked numbers, given the size of the group."""
        lost = self.lost
        return [n for n in range(1, size + 1) if n not in lost or lost[n] > Step.NUMBERS]


def draw_dropouts(
    groups: Groups, context: ReleaseContext, seed: int, number: int
) -> DropoutOutcome:
    """Draw which members of a group are lost in its attempt ``number``, and in which step.

    Whoever watches the network sees who is lost, so the draw comes from the scenario's seed.
    """
    names = context.holder, context.round, context.parent, number
    draw = uniforms(seed, "lost", *names)
    may_be_lost = range(1, groups.size + 1 if groups.away else 1)
    drawn = {member: draw(member) / groups.away for member in may_be_lost}
    lost = {m: Step(1 + int(len(Step) * place)) for m, place in drawn.items() if place < 1}
    before = [member for member, step in lost.items() if step <= Step.NUMBERS]
    return DropoutOutcome(
        number=number,
        lost=lost,
        reconstructs=groups.size - len(lost) >= groups.threshold,
        is_release=groups.size - len(before) >= groups.threshold,
        again_s=groups.retry_s if number < groups.attempts else None,
    )


def first_reconstruction(
    groups: Groups, context: ReleaseContext, seed: int
) -> DropoutOutcome | None:
    """Return the outcome of the first attempt that opens the sum; None if no attempt does."""
    outcomes = (draw_dropouts(groups, context, seed, n) for n in range(1, groups.attempts + 1))
    return next((outcome for outcome in outcomes if outcome.reconstructs), None)


def contributors(groups: Groups, context: ReleaseContext, seed: int) -> tuple[int, ...]:
    """Return the holders whose gradients are in the message of a group."""
    opening = first_reconstruction(groups, context, seed)
    assert opening is not None, "a message was sent"
    members = groups.members_of(context.holder)
    return tuple(members[number - 1] for number in opening.summed(groups.size))
