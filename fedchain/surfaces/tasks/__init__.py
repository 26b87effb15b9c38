"""Tasks of surfaces: what a federation learns to make clouds denser; one file for each task."""
