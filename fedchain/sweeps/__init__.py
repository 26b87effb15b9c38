"""Sweeps: many runs of one scenario, each with other values."""
