"""Models for scans, from published papers; one file for each model."""

from fedchain.scans.models.deconvnet import deconvnet
from fedchain.scans.models.fcn8s import fcn8s
from fedchain.scans.models.gajdosech_fcn import gajdosech_fcn
from fedchain.scans.models.gajdosech_unet import gajdosech_unet
from fedchain.scans.models.havaei import havaei
from fedchain.scans.models.pixels import pixels
from fedchain.scans.models.ternausnet import ternausnet
from fedchain.scans.models.unet import unet

__all__ = [
    "deconvnet",
    "fcn8s",
    "gajdosech_fcn",
    "gajdosech_unet",
    "havaei",
    "pixels",
    "ternausnet",
    "unet",
]
