"""Reports: figures, tables and HTML pages about runs and sweeps."""
