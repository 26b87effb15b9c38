"""Storage: the chain on disk."""
