"""Secure aggregation: it sums vectors that nobody sees, with masks that cancel out in the sum."""
