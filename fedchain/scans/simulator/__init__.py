"""Simulator of a structured-light scanner: shapes, scenes, rays, light, decoding."""
