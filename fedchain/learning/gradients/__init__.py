"""Gradients of many data holders at once, clipped for differential privacy."""
