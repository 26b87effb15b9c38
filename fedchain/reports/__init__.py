"""Reports: figures, tables and one page about runs and sweeps."""
