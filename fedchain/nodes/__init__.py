"""Nodes: data holders that release private gradients, and compute nodes that append blocks."""
