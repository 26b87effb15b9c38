"""Sums of vectors that nobody sees: masks that cancel, and shares that bring back lost ones."""
