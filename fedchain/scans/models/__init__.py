"""Models for scans, from published papers; one file for each model."""

from fedchain.scans.models.gajdosech_unet import gajdosech_unet

__all__ = ["gajdosech_unet"]
