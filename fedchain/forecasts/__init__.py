"""Forecasts: estimates of a run's time, memory and disk space, before it is run."""
