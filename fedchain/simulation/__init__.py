"""Simulation: it runs the nodes of one run on events in simulated time, and yields the rounds."""
