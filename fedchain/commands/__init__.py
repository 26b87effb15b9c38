"""The command line: one short file a group of commands; only calls the Python API."""
