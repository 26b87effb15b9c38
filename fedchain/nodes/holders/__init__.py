"""Data holders: they follow the chain and release private gradients."""
