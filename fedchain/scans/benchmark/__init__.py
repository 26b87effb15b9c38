"""Benchmark of a scan model: devices and back ends, for training and for inference."""

from fedchain.scans.benchmark.measuring import Row, measure_backends
from fedchain.scans.benchmark.tables import notes, table

__all__ = ["Row", "measure_backends", "notes", "table"]
