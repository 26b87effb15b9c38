"""Schedule: which strategy a compute node follows in which round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fedchain.nodes.compute.behaviour import HONEST, Strategy
from fedchain.nodes.compute.strategies.strategy import Place, strategies
from fedchain.scenario import ComputeAttack, Scenario


@dataclass(frozen=True)
class Schedule:
    """The strategies of one compute node, by round."""

    planned: tuple[tuple[ComputeAttack, Strategy], ...] = ()
    """Each attack of the scenario that names the node, with its strategy; empty: it is honest."""

    @property
    def honest(self) -> bool:
        """Whether the node follows the protocol in every round."""
        return not self.planned

    @property
    def hears_at_once(self) -> bool:
        """Whether one of the strategies receives every block when it leaves its sender."""
        return any(conduct.hears_at_once for _, conduct in self.planned)

    def at(self, round_: int) -> Strategy:
        """Return the strategy while the node works on the block of this height."""
        for misconduct, conduct in self.planned:
            if misconduct.active(round_):
                return conduct
        return HONEST

    def deeds(self) -> list[dict[str, object]]:
        """Return the kind of each strategy with its deeds, counted by kind."""
        return [
            {"kind": misconduct.part.kind, "deeds": dict(sorted((+conduct.deeds).items()))}
            for misconduct, conduct in self.planned
        ]


HONESTLY = Schedule()
"""The schedule of an honest node."""


def schedule_of(scenario: Scenario, node: int, place: Callable[[], Place]) -> Schedule:
    """Return the schedule of a compute node in a scenario.

    Args:
        scenario: checked.
        node: number of the compute node.
        place: returns what the node knows; it is called only if the node is dishonest.
    """
    named = [a for a in scenario.attacks if isinstance(a, ComputeAttack) and node in a.nodes]
    return Schedule(tuple((a, strategies.build(a.part, place())) for a in named))
