"""Native: compiled kernels for the largest part of the work; every one has a twin without."""
