"""Tasks of tables, and tasks that are made of other tasks."""
