"""Compute nodes that misbehave, and what it does to the chain."""

from fedchain.nodes.compute.strategies.schedule import HONESTLY, Schedule, schedule_of
from fedchain.nodes.compute.strategies.strategy import Place, strategies

__all__ = ["HONESTLY", "Place", "Schedule", "schedule_of", "strategies"]
