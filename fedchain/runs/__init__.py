"""Runs: they run a scenario into a folder, resume it, and write its manifest and its tables."""
