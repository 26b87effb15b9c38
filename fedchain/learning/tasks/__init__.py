"""Tasks on tables, and tasks that wrap another task."""
