"""3D scans: a scanner simulator, file formats, features, models, metrics, tasks."""
