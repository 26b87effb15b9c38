"""Tasks on scans: cleaning of real scans in a folder, and of simulated ones."""
