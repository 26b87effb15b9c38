"""A structured-light scanner, simulated: shapes, scenes, rays, light, decoding."""
