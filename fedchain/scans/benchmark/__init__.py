"""Benchmark of a scan model: devices and back ends, for training and for inference."""

from fedchain.scans.benchmark.measuring import Row, Timing, measure_backends
from fedchain.scans.benchmark.tables import COLUMNS, benchmark_notes, table_cells

__all__ = ["COLUMNS", "Row", "Timing", "benchmark_notes", "measure_backends", "table_cells"]
