"""Secure aggregation: sums of vectors that nobody sees, by masks that cancel out in the sum."""
