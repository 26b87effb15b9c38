"""Privacy: mechanisms that add noise, the accounting of epsilon, and the budget of releases."""
