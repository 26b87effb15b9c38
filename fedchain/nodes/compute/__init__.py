"""Compute nodes: full nodes that gather messages, do the work and append blocks."""
