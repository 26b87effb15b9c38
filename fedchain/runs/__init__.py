"""Runs: functions that run a scenario into a folder, resume it, and write manifest and tables."""
