"""Models for scans, from published papers; one file for each model."""

from fedchain.scans.models.gajdosech_unet import gajdosech_unet
from fedchain.scans.models.pixels import pixels

__all__ = ["gajdosech_unet", "pixels"]
