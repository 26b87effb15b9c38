"""Learning: tasks, models and losses, and the private gradients of many holders at once."""
