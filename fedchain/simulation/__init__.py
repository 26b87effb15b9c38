"""Simulation: the nodes of one run act on events in simulated time, round after round."""
