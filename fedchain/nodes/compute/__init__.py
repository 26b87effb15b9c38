"""Compute nodes: full nodes that collect messages, do the work and append blocks."""
