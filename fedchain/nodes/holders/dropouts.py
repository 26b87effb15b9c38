"""Who is there in an attempt at the sum of a group, and whether the sum is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedchain.nodes.holders.release import ReleaseContext
from fedchain.randomness import uniforms
from fedchain.scenario import Groups, Nodes
from fedchain.secure_aggregation.assembler import Step


@dataclass(frozen=True, kw_only=True)
class DropoutOutcome:
    """How one attempt at a message goes; of a holder that speaks for itself it never fails."""

    number: int = 1
    """Of the attempt, from 1."""
    lost: Mapping[int, Step] = field(default_factory=dict)
    """The step from which on a member is gone, by its number in the group, from 1."""
    reconstructs: bool = True
    """Whether enough members are there to the end."""
    is_release: bool = True
    """Whether members are asked for their shares. They cannot know what became of these, so that
    it is a release of each of them, whether the sum is opened or not."""
    again_s: float | None = None
    """Simulated seconds until the next attempt, should this one fail; None: it is the last."""

    def summed(self, size: int) -> list[int]:
        """Return the numbers of those members of a group of this size that send numbers."""
        lost = self.lost
        return [n for n in range(1, size + 1) if n not in lost or lost[n] > Step.NUMBERS]


def draw_dropouts(groups: Groups | None, context: ReleaseContext, number: int) -> DropoutOutcome:
    """Draw who is lost in an attempt, and in which of its steps.

    Args:
        groups: how they are made; None: each holder speaks for itself.
        context: names the draws; its holder is the group.
        number: of the attempt, from 1.
    """
    if groups is None:
        return DropoutOutcome()
    names = context.holder, context.round, context.parent, number
    draw = uniforms(context.seed, "lost", *names)
    drawn = {member: draw(member) / groups.away for member in _numbers(groups)}
    lost = {m: Step(1 + int(len(Step) * place)) for m, place in drawn.items() if place < 1}
    before = [member for member, step in lost.items() if step <= Step.NUMBERS]
    return DropoutOutcome(
        number=number,
        lost=lost,
        reconstructs=groups.size - len(lost) >= groups.threshold,
        is_release=groups.size - len(before) >= groups.threshold,
        again_s=groups.retry_s if number < groups.attempts else None,
    )


def first_reconstruction(groups: Groups, context: ReleaseContext) -> DropoutOutcome | None:
    """Return the first attempt that opens the sum; None if none of them does."""
    for number in range(1, groups.attempts + 1):
        attendance = draw_dropouts(groups, context, number)
        if attendance.reconstructs:
            return attendance
    return None


def contributors(nodes: Nodes, context: ReleaseContext) -> tuple[int, ...]:
    """Return the holders whose gradients are in a message.

    Args:
        nodes: of the scenario.
        context: of the message; its holder is the speaker.
    """
    members, groups = nodes.members_of(context.holder), nodes.groups
    opening = first_reconstruction(groups, context) if groups is not None else DropoutOutcome()
    assert opening is not None, "a message was sent"
    return tuple(members[number - 1] for number in opening.summed(len(members)))


def _numbers(groups: Groups) -> range:
    # nobody is lost where nobody is ever away
    return range(1, groups.size + 1 if groups.away else 1)
