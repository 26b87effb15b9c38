"""Forecasts: what a run will take in time, memory and disk, before it is run."""
