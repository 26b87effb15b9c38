"""Tasks on tables, and tasks that change another task."""
