"""Learning: tasks, models and losses, and the clipped gradients of many holders at once."""
