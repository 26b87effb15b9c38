"""Network: the links between nodes, and the time at which each node receives an item."""
