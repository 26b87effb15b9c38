"""Strategies of dishonest compute nodes, one file for each kind of attack on the chain."""

from fedchain.nodes.compute.strategies.schedule import HONESTLY, Schedule, schedule_of
from fedchain.nodes.compute.strategies.strategy import Place, strategies

__all__ = ["HONESTLY", "Place", "Schedule", "schedule_of", "strategies"]
