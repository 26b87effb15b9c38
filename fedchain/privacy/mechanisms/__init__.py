"""Mechanisms: how a data holder hides its records in noise, equation (10); one file each."""

from fedchain.privacy.mechanisms.gaussian import Gaussian, gaussian
from fedchain.privacy.mechanisms.knorm import KNorm, knorm
from fedchain.privacy.mechanisms.mechanism import Mechanism, Unit, mechanisms, sensitivity
from fedchain.privacy.mechanisms.none import NoNoise, none

__all__ = [
    "Gaussian",
    "KNorm",
    "Mechanism",
    "NoNoise",
    "Unit",
    "gaussian",
    "knorm",
    "mechanisms",
    "none",
    "sensitivity",
]
