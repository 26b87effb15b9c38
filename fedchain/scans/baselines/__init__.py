"""Baselines: filters that a practitioner would try first, and that every model stands beside."""

from fedchain.scans.baselines.classical import Baseline, classical
from fedchain.scans.baselines.learned import learned

__all__ = ["Baseline", "classical", "learned"]
