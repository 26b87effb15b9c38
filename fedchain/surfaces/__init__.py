"""Surfaces: points made denser, scans merged, and meshes."""
