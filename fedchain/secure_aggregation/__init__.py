"""Secure aggregation: it sums secret vectors, with masks that cancel out in the sum."""
