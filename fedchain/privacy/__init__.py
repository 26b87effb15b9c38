"""Privacy: mechanisms, accounting, and the budget that counts every release."""
