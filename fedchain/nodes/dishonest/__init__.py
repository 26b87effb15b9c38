"""Compute nodes that misbehave, and what it does to the chain."""

from fedchain.nodes.dishonest.misconduct import Place, misconducts
from fedchain.nodes.dishonest.schedule import HONESTLY, Schedule, schedule_of

__all__ = ["HONESTLY", "Place", "Schedule", "misconducts", "schedule_of"]
