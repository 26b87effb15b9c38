"""What is learnt, and the private gradients of many holders at once."""
