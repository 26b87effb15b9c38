"""Models that make clouds denser; one file for each model."""

from fedchain.surfaces.models.pu_net import pu_net
from fedchain.surfaces.models.refine import refine

__all__ = ["pu_net", "refine"]
