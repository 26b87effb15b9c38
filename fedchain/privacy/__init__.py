"""Privacy: mechanisms, the accounting of epsilon, and the budget of releases."""
