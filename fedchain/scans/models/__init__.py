"""Scan models of the papers, one file each."""

from fedchain.scans.models.gajdosech_unet import gajdosech_unet

__all__ = ["gajdosech_unet"]
