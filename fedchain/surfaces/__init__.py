"""Surfaces: points made denser, scans of a turntable merged, and meshes of them."""
