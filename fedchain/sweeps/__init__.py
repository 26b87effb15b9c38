"""Sweeps: many runs of one scenario, each with different values."""
