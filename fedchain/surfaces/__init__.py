"""Surfaces: denser points, merged scans, meshes: upsampling, reconstruction, the whole way."""
