"""3D scans: a scanner simulator, file formats, features, models, metrics and tasks."""
