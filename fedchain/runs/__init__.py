"""Runs: the life of one run folder, from its first file to its report of itself."""
