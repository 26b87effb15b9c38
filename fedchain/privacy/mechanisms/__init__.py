"""Mechanisms: kinds of noise that hide the records of a holder, LearningChain equation (10)."""

from fedchain.privacy.mechanisms.abilities import ClipFollower, GroupNoise, NoiseSchedule
from fedchain.privacy.mechanisms.gaussian import gaussian
from fedchain.privacy.mechanisms.knorm import knorm
from fedchain.privacy.mechanisms.laplace import laplace
from fedchain.privacy.mechanisms.mechanism import Mechanism, Terms, mechanisms
from fedchain.privacy.mechanisms.none import clipped, none
from fedchain.privacy.mechanisms.privacy_filter import privacy_filter
from fedchain.privacy.mechanisms.skellam import skellam

__all__ = [
    "ClipFollower",
    "GroupNoise",
    "Mechanism",
    "NoiseSchedule",
    "Terms",
    "clipped",
    "gaussian",
    "knorm",
    "laplace",
    "mechanisms",
    "none",
    "privacy_filter",
    "skellam",
]
