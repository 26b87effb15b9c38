"""Baselines: filters that a practitioner would try first, and that every model stands beside."""

from fedchain.scans.baselines.classical import Baseline, baseline_metrics, classical
from fedchain.scans.baselines.learned import learned

__all__ = ["Baseline", "baseline_metrics", "classical", "learned"]
