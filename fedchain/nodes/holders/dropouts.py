"""Dropouts: it draws which members a group loses during secure aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedchain.nodes.holders.release import ReleaseContext
from fedchain.randomness import uniforms
from fedchain.scenario import Groups
from fedchain.secure_aggregation.assembler import Step


@dataclass(frozen=True, kw_only=True)
class DropoutOutcome:
    """The outcome of one attempt to make a message. Without groups, no members are lost."""

    number: int = 1
    """Number of the attempt, from 1."""
    lost: Mapping[int, Step] = field(default_factory=dict)
    """The first step that each lost member misses, by member number from 1."""
    reconstructs: bool = True
    """Whether enough members stay to the end, so that the sum can be unmasked."""
    is_release: bool = True
    """Whether the attempt counts as a release, since members were asked for their secret shares."""
    again_s: float | None = None
    """Simulated seconds until the next attempt if this attempt fails; None if it is the last."""

    def summed(self, size: int) -> list[int]:
        """Return the numbers, from 1, of the members that send masked vectors.

        ``size`` is the number of members of the group.
        """
        lost = self.lost
        return [n for n in range(1, size + 1) if n not in lost or lost[n] > Step.NUMBERS]


def draw_dropouts(
    groups: Groups, context: ReleaseContext, seed: int, number: int
) -> DropoutOutcome:
    """Draw which members of a group are lost in attempt ``number``, and in which steps."""
    # Lost members are visible in the network, so the draw need not be secret: the seed suffices.
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
    """Return the outcome of the first attempt that opens the sum; None if all attempts fail."""
    outcomes = (draw_dropouts(groups, context, seed, n) for n in range(1, groups.attempts + 1))
    return next((outcome for outcome in outcomes if outcome.reconstructs), None)


def contributors(groups: Groups, context: ReleaseContext, seed: int) -> tuple[int, ...]:
    """Return the ids of the holders whose gradients are in the message of a group."""
    opening = first_reconstruction(groups, context, seed)
    assert opening is not None, "a message was sent"
    members = groups.members_of(context.holder)
    return tuple(members[number - 1] for number in opening.summed(groups.size))
