"""Mechanisms: how a data holder hides its records in noise, equation (10); one file each."""

from fedchain.privacy.mechanisms.gaussian import Gaussian, gaussian
from fedchain.privacy.mechanisms.knorm import KNorm, knorm
from fedchain.privacy.mechanisms.laplace import Laplace, laplace
from fedchain.privacy.mechanisms.mechanism import Mechanism, Unit, mechanisms, sensitivity
from fedchain.privacy.mechanisms.none import NoNoise, clipped, none
from fedchain.privacy.mechanisms.skellam import Skellam, skellam

__all__ = [
    "Gaussian",
    "KNorm",
    "Laplace",
    "Mechanism",
    "NoNoise",
    "Skellam",
    "Unit",
    "clipped",
    "gaussian",
    "knorm",
    "laplace",
    "mechanisms",
    "none",
    "sensitivity",
    "skellam",
]
