"""The chain: messages, blocks, rules and what makes them valid, in memory."""
