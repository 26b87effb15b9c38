"""Which compute node misbehaves in which round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedchain.nodes.compute.behaviour import HONEST, Strategy
from fedchain.nodes.compute.strategies.strategy import Place, strategies
from fedchain.scenario import ComputeAttack, Scenario


@dataclass(frozen=True)
class Schedule:
    """What one compute node does, round by round."""

    planned: tuple[tuple[ComputeAttack, Strategy], ...] = ()
    """Each misconduct of the scenario that names it; empty for an honest node."""

    @property
    def honest(self) -> bool:
        """Whether it never misbehaves."""
        return not self.planned

    @property
    def hears_at_once(self) -> bool:
        """Whether it listens everywhere."""
        return any(conduct.hears_at_once for _, conduct in self.planned)

    def at(self, round_: int) -> Strategy:
        """Return what it does while it works on the block of this height."""
        for misconduct, conduct in self.planned:
            if misconduct.active(round_):
                return conduct
        return HONEST

    def deeds(self) -> list[dict[str, object]]:
        """Return each misconduct with what was done in its name."""
        return [
            {"kind": misconduct.part.kind, "deeds": dict(sorted((+conduct.deeds).items()))}
            for misconduct, conduct in self.planned
        ]


HONESTLY = Schedule()
"""The schedule of a node that never misbehaves."""


def schedule_of(scenario: Scenario, node: int, place: Callable[[], Place]) -> Schedule:
    """Return what a scenario has a compute node do.

    Args:
        scenario: checked.
        node: number of the compute node.
        place: where it stands; asked only if it misbehaves.
    """
    named = [a for a in scenario.attacks if isinstance(a, ComputeAttack) and node in a.nodes]
    return Schedule(tuple((a, strategies.build(a.part, place())) for a in named))
