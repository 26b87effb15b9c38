"""Private gradients of many data holders at once, equation (6)."""
