"""Storage of the chain on disk."""
